"""A training step of the tutorial's plain net: PyTorch and Flowloop in turns on this machine's CPU.

Run with PyTorch installed, after `cargo build --release`:
    python benches/training_step.py target/release/flowloop
"""
import re
import statistics
import subprocess
import sys
import time

import torch
from torch import nn


class UNet(nn.Module):
    """64 latent channels; five layers of 128 to 2048 channels; time added at the deepest."""

    def __init__(self, channels=64, base=128, layers=5, time_features=128):
        super().__init__()
        w = [base << i for i in range(layers)]
        self.down = nn.ModuleList(nn.Conv1d(w[i - 1] if i else channels, w[i], 4, 2, 1) for i in range(layers))
        self.bottleneck = nn.Conv1d(w[-1], w[-1], 3, 1, 1)
        self.time = nn.Sequential(nn.Linear(1, time_features), nn.ReLU(), nn.Linear(time_features, w[-1]), nn.ReLU())
        self.up = nn.ModuleList(nn.ConvTranspose1d(w[-1] >> i, w[-1] >> (i + 1), 4, 2, 1) for i in range(layers))
        self.last = nn.Conv1d(w[-1] >> layers, channels, 1)

    def forward(self, x, t):
        skips = []
        for layer in self.down:
            x = torch.relu(layer(x))
            skips.append(x)
        x = self.bottleneck(x) + self.time(t[:, None])[:, :, None]
        for layer in self.up:
            x = torch.relu(layer(x + skips.pop()))
        return self.last(x)


net = UNet()
optimizer = torch.optim.AdamW(net.parameters())


def torch_step():
    data, noise, t = torch.randn(16, 64, 64), torch.randn(16, 64, 64), torch.rand(16)
    start = time.perf_counter()
    x = (1 - t[:, None, None]) * data + t[:, None, None] * noise
    loss = ((net(x, t) - (data - noise)) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss.item()
    return time.perf_counter() - start


torch_step()
ratios = []
for turn in range(3):
    theirs = statistics.median(torch_step() for _ in range(10))
    shown = subprocess.run([sys.argv[1], "bench", "--training", "--device", "cpu"], capture_output=True, text=True, check=True)
    ours = float(re.search(r"([\d.]+) seconds", shown.stdout).group(1))
    ratios.append(ours / theirs)
    print(f"turn {turn}: PyTorch {theirs:.3f} s, Flowloop {ours:.3f} s, ratio {ratios[-1]:.2f}")
print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads: Flowloop takes {statistics.median(ratios):.2f} of its time")
