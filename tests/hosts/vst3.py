"""Plays the built VST3 in hosts that were not written here and compares it with the companion's WAVs.

Arguments: host (pedalboard or dawdreamer), plugin, WAV of seed 1, WAV of seed 2.
Both WAVs: 2 bars at 120 bpm, 44.1 kHz, from 4 steps. Prints one JSON object: for each take the largest
difference from the WAV it should equal, and from the WAV it should not.
"""
import json
import sys

import numpy as np
import soundfile

RATE = 44100
GAIN = 0.5  # of a note of full velocity
SKIP = 200  # samples of fade-in
LOOP = 4.0  # seconds


def differences(heard, expected, other):
    """Largest differences of a take [channel, sample] from GAIN times each WAV [channel, sample]."""
    length = min(heard.shape[1], expected.shape[1])
    cut = slice(SKIP, length)
    far = lambda wav: float(np.abs(heard[:, cut] - GAIN * wav[:, cut]).max())
    return {"error": far(expected), "distance": far(other), "peak": float(np.abs(heard).max())}


def pedalboard(path, one, two):
    from pedalboard import load_plugin

    plugin = load_plugin(path)
    # Looking a parameter up is slow: the host tries out thousands of its values to learn its range.
    parameters = plugin.parameters
    note = [(bytes([0x90, 60, 127]), 0.0)]

    def choose(seed):
        parameters["seed"].raw_value = seed / 9999
        # An edit reaches a VST3 with the next block.
        plugin([], duration=0.02, sample_rate=RATE, num_channels=2)

    def take(seed):
        choose(seed)
        return plugin(note, duration=LOOP, sample_rate=RATE, num_channels=2, buffer_size=512)

    parameters["steps"].raw_value = 3 / 63
    takes = [differences(take(1), one, two), differences(take(2), two, one), differences(take(1), one, two)]
    # A project saved and opened again: a new instance takes the state over.
    choose(2)
    again = load_plugin(path)
    again.preset_data = plugin.preset_data
    heard = again(note, duration=LOOP, sample_rate=RATE, num_channels=2, buffer_size=512)
    takes.append(differences(heard, two, one))
    kept, loaded = [], again.parameters["seed"]
    for seed in range(0, 10000, 523):
        choose(seed)
        again.preset_data = plugin.preset_data
        kept.append(round(loaded.raw_value * 9999) == seed)
    return {"takes": takes, "seeds_kept": sum(kept) / len(kept)}


def dawdreamer(path, one, two):
    import dawdreamer

    engine = dawdreamer.RenderEngine(RATE, 256)
    engine.set_bpm(120)
    plugin = engine.make_plugin_processor("flowloop", path)
    names = [p["name"] for p in plugin.get_parameters_description()]
    plugin.set_parameter(names.index("Steps"), 3 / 63)
    # Automation within one render; it turns a little before each note.
    early = int(0.1 * RATE)
    lane = np.full(3 * int(LOOP * RATE), 1 / 9999, np.float32)
    lane[int(LOOP * RATE) - early : int(2 * LOOP * RATE) - early] = 2 / 9999
    plugin.set_automation(names.index("Seed"), lane)
    for start in range(3):
        plugin.add_midi_note(60, 127, start * LOOP, LOOP - 0.05)
    engine.load_graph([(plugin, [])])
    engine.render(3 * LOOP)
    audio = engine.get_audio()
    takes = []
    for index, (expected, other) in enumerate([(one, two), (two, one), (one, two)]):
        start = int(index * LOOP * RATE)
        takes.append(differences(audio[:, start : start + int(3.85 * RATE)], expected, other))
    return {"takes": takes, "sync": in_sync(dawdreamer, path, one, two)}


def in_sync(dawdreamer, path, one, two):
    """The loop with the host's transport, without a note, twice round."""
    engine = dawdreamer.RenderEngine(RATE, 256)
    engine.set_bpm(120)
    plugin = engine.make_plugin_processor("flowloop", path)
    names = [p["name"] for p in plugin.get_parameters_description()]
    for name, value in [("Seed", 1 / 9999), ("Steps", 3 / 63), ("Mode", 1)]:
        plugin.set_parameter(names.index(name), value)
    engine.load_graph([(plugin, [])])
    engine.render(2 * LOOP)
    return differences(engine.get_audio(), np.tile(one, 2), np.tile(two, 2))


host, path, *wavs = sys.argv[1:]
one, two = (soundfile.read(wav, dtype="float32", always_2d=True)[0].T for wav in wavs)
print(json.dumps({"pedalboard": pedalboard, "dawdreamer": dawdreamer}[host](path, one, two)))
