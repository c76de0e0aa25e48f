"""The tutorial's plain net on this machine's CPU: PyTorch, with all cores and stock settings, and Flowloop in turns.

Run with PyTorch installed, after `cargo build --release`:
    python benches/pytorch.py target/release/flowloop            # a solver step of sampling, a training step
    python benches/pytorch.py target/release/flowloop sampling   # or one of the two

Both sample with the same weights; their latents are compared first. Times are medians, ratios those of medians over
all turns: other load on the machine disturbs both alike.
"""
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

FLOWLOOP = sys.argv[1]
TURNS = 7


class UNet(nn.Module):
    """64 latent channels; five layers of 128 to 2048 channels; time added at the deepest."""

    def __init__(self, channels=64, base=128, layers=5, time_features=128):
        super().__init__()
        w = [base << i for i in range(layers)]
        self.down_layers = nn.ModuleList(nn.Conv1d(w[i - 1] if i else channels, w[i], 4, 2, 1) for i in range(layers))
        self.bottleneck = nn.Conv1d(w[-1], w[-1], 3, 1, 1)
        self.time_mlp = nn.Sequential(nn.Linear(1, time_features), nn.ReLU(), nn.Linear(time_features, w[-1]), nn.ReLU())
        self.up_layers = nn.ModuleList(nn.ConvTranspose1d(w[-1] >> i, w[-1] >> (i + 1), 4, 2, 1) for i in range(layers))
        self.final_layer = nn.Conv1d(w[-1] >> layers, channels, 1)

    def forward(self, x, t):
        skips = []
        for layer in self.down_layers:
            x = torch.relu(layer(x))
            skips.append(x)
        x = self.bottleneck(x) + self.time_mlp(t[:, None])[:, :, None]
        for layer in self.up_layers:
            x = torch.relu(layer(x + skips.pop()))
        return self.final_layer(x)


@torch.inference_mode()
def sample(net, x, steps):
    """Euler from t = 1 to t = 0."""
    dt = 1 / steps
    for step in range(steps):
        x = x + dt * net(x, torch.full((x.shape[0],), 1 - step * dt))
    return x


def flowloop(*arguments):
    return subprocess.run([FLOWLOOP, *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def sampling():
    torch.manual_seed(0)
    net = UNet().eval()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, model, noise, out = (str(Path(folder) / n) for n in ("net.pth", "net.flow", "noise.st", "out.st"))
        torch.save(net.state_dict(), checkpoint)
        flowloop("import", checkpoint, "-o", model)
        x = torch.randn(1, 64, 32)
        save_file({"noise": x}, noise)
        flowloop("sample", "--model", model, "--noise", noise, "--steps", 100, "--device", "cpu", "-o", out)
        error = (load_file(out)["latents"] - sample(net, x, 100)).abs().max().item()
        print(f"100 steps with the same weights: largest difference {error:.1e}")
        assert error < 1e-4
        for batch, frames, steps in [(1, 32, 20), (1, 128, 10), (1, 512, 4), (8, 128, 4)]:
            times = {"PyTorch": [], "single": [], "half": []}
            for _ in range(TURNS):
                x = torch.randn(batch, 64, frames)
                sample(net, x, 1)
                for _ in range(3):
                    start = time.perf_counter()
                    sample(net, x, steps)
                    times["PyTorch"].append(1e3 * (time.perf_counter() - start) / steps)
                for way in ("single", "half"):
                    shown = flowloop(
                        "bench", "--sampler", "--model", model, "--only", way,
                        "--batch", batch, "--frames", frames, "--steps", steps,
                    )
                    times[way].append(float(re.search(r"([\d.]+) milliseconds", shown).group(1)))
            medians = {name: statistics.median(all) for name, all in times.items()}
            print(f"{batch} x {frames} frames, milliseconds a step: PyTorch {medians['PyTorch']:.2f}", end="")
            for way, bits in (("single", 32), ("half", 16)):
                print(f", Flowloop with {bits}-bit weights {medians[way]:.2f} ({medians['PyTorch'] / medians[way]:.1f}x)", end="")
            print(flush=True)


def training():
    net = UNet()
    optimizer = torch.optim.AdamW(net.parameters())

    def step():
        data, noise, t = torch.randn(16, 64, 64), torch.randn(16, 64, 64), torch.rand(16)
        start = time.perf_counter()
        x = (1 - t[:, None, None]) * data + t[:, None, None] * noise
        loss = ((net(x, t) - (data - noise)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        return time.perf_counter() - start

    step()
    ours, theirs = [], []
    for _ in range(3):
        theirs += [step() for _ in range(10)]
        ours.append(float(re.search(r"([\d.]+) seconds", flowloop("bench", "--training", "--device", "cpu")).group(1)))
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"training step: PyTorch {theirs:.3f} s, Flowloop {ours:.3f} s, {ours / theirs:.2f} of its time")


print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
wanted = sys.argv[2:] or ["sampling", "training"]
if "sampling" in wanted:
    sampling()
if "training" in wanted:
    training()
