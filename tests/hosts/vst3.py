"""Plays the built VST3 in hosts that were not written here and compares it with the companion's WAVs.

Arguments: what to try (pedalboard, seeds, bend or dawdreamer), plugin, WAV of seed 1, WAV of seed 2.
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
    return {"takes": takes, "identical": bool((take(2) == heard).all())}


def seeds(path, one, two):
    """Seeds from end to end, set in one instance, saved, and read in another that loaded it."""
    from pedalboard import load_plugin

    plugin, again = load_plugin(path), load_plugin(path)
    seed, loaded = plugin.parameters["seed"], again.parameters["seed"]
    # Their clips are not made.
    plugin.parameters["auto"].raw_value = 0
    lost, numbers = [], range(0, 10000, 101)
    for number in numbers:
        seed.raw_value = number / 9999
        # An edit reaches a VST3 with the next block; to reset the host takes long.
        plugin([], duration=0.002, sample_rate=RATE, num_channels=2, reset=False)
        again.preset_data = plugin.preset_data
        if round(loaded.raw_value * 9999, 2) != number:
            lost.append([number, loaded.raw_value * 9999])
    return {"lost": lost, "tried": len(numbers)}


def faster(wav, speed, length):
    """A WAV [channel, sample] read `speed` times as fast, round and round."""
    places = np.arange(length) * speed
    first = np.floor(places).astype(int)
    window = lambda away: 0.5 + 0.5 * np.cos(np.pi * away / 17)
    read = lambda i: wav[:, i % wav.shape[1]] * np.sinc((places - i) / speed) / speed * window(places - i)
    return sum(read(first + i) for i in range(-15, 17))


def likeness(heard, wav):
    """Of what was heard with the wheel half up, to the clip bent by a semitone and to the clip."""
    heard = heard[:, SKIP : int(RATE)]
    speed = 2 ** (4096 / 8191 * 2 / 12)
    like = lambda other: float((heard * other).sum() / np.sqrt((heard**2).sum() * (other**2).sum()))
    bent = faster(wav, speed, int(RATE))[:, SKIP:]
    return {"bent": like(bent), "straight": like(wav[:, SKIP : int(RATE)])}


def bend(path, one, two):
    """The pitch wheel as MIDI messages, half up and back at its centre."""
    import os
    import tempfile

    import dawdreamer
    from pedalboard import load_plugin

    plugin = load_plugin(path)
    parameters = plugin.parameters
    parameters["steps"].raw_value, parameters["seed"].raw_value = 3 / 63, 1 / 9999
    play = lambda high: plugin(
        [(bytes([0xE0, 0, high]), 0.0), (bytes([0x90, 60, 127]), 0.0)],
        duration=LOOP, sample_rate=RATE, num_channels=2, buffer_size=512,
    )
    result = {"pedalboard": likeness(play(96), one), "centred": differences(play(64), one, two)}
    engine = dawdreamer.RenderEngine(RATE, 256)
    engine.set_bpm(120)
    plugin = instrument(engine, path)
    # DawDreamer takes other messages than notes from a file alone.
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "bend.mid")
        with open(file, "wb") as out:
            out.write(midi_file([0xE0, 0, 96], [0x90, 60, 127]))
        plugin.load_midi(file, clear_previous=True, beats=False, all_events=True)
    engine.load_graph([(plugin, [])])
    engine.render(LOOP)
    result["dawdreamer"] = likeness(engine.get_audio(), one)
    return result


def midi_file(*messages):
    """A standard MIDI file with these messages at its start."""
    track = b"".join(bytes([0, *m]) for m in messages) + bytes([0x8F, 0, 0x80, 60, 0, 0, 0xFF, 0x2F, 0])
    head = b"MThd" + (6).to_bytes(4, "big") + bytes([0, 0, 0, 1, 0, 96])
    return head + b"MTrk" + len(track).to_bytes(4, "big") + track


def instrument(engine, path):
    """Flowloop with seed 1, from 4 steps."""
    plugin = engine.make_plugin_processor("flowloop", path)
    choose(plugin, Seed=1 / 9999, Steps=3 / 63)
    return plugin


def choose(plugin, **values):
    names = [p["name"] for p in plugin.get_parameters_description()]
    for name, value in values.items():
        plugin.set_parameter(names.index(name), value)


def dawdreamer(path, one, two):
    import dawdreamer

    first, again = automated(dawdreamer, path), automated(dawdreamer, path)
    takes = []
    for index, (expected, other) in enumerate([(one, two), (two, one), (one, two)]):
        start = int(index * LOOP * RATE)
        takes.append(differences(first[:, start : start + int(3.85 * RATE)], expected, other))
    return {"takes": takes, "identical": bool((first == again).all()), "sync": in_sync(dawdreamer, path, one, two)}


def automated(dawdreamer, path):
    """Seeds 1, 2 and 1 automated within one render of a new instance."""
    engine = dawdreamer.RenderEngine(RATE, 256)
    engine.set_bpm(120)
    plugin = instrument(engine, path)
    names = [p["name"] for p in plugin.get_parameters_description()]
    # Automation within one render; it turns a little before each note.
    early = int(0.1 * RATE)
    lane = np.full(3 * int(LOOP * RATE), 1 / 9999, np.float32)
    lane[int(LOOP * RATE) - early : int(2 * LOOP * RATE) - early] = 2 / 9999
    plugin.set_automation(names.index("Seed"), lane)
    for start in range(3):
        plugin.add_midi_note(60, 127, start * LOOP, LOOP - 0.05)
    engine.load_graph([(plugin, [])])
    engine.render(3 * LOOP)
    return engine.get_audio()


def in_sync(dawdreamer, path, one, two):
    """The loop with the host's transport, without a note, twice round."""
    engine = dawdreamer.RenderEngine(RATE, 256)
    engine.set_bpm(120)
    plugin = instrument(engine, path)
    choose(plugin, Mode=0.5)
    engine.load_graph([(plugin, [])])
    engine.render(2 * LOOP)
    return differences(engine.get_audio(), np.tile(one, 2), np.tile(two, 2))


what, path, *wavs = sys.argv[1:]
one, two = (soundfile.read(wav, dtype="float32", always_2d=True)[0].T for wav in wavs)
attempts = {"pedalboard": pedalboard, "seeds": seeds, "bend": bend, "dawdreamer": dawdreamer}
print(json.dumps(attempts[what](path, one, two)))
