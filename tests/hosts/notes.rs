//! Notes through clack-host: the pitch wheel, the end of a voice, the names of the keys, other rates.

use clack_extensions::note_name::{NoteNameBuffer, PluginNoteName};
use clack_extensions::render::RenderMode;
use clack_host::events::Match;

use super::host::Do::*;
use super::host::{self, BLOCK, Instance, RATE, difference, likeness, note, read};
use super::{EQUAL, wav};

/// Samples of a clip of 1 bar at 120 bpm.
const CLIP: usize = 88_200;

#[test]
fn pitch_wheel_bends_and_comes_back() {
    host::on_cpu();
    let folder = tempfile::tempdir().unwrap();
    let clip = read(&wav(folder.path(), 11, 1, 120));
    let (mut instance, mut running) = Instance::offline();
    // Half way up of two semitones, given as a MIDI message on another channel than the note's.
    let mut script = vec![(0, Set("Bars", 0.0)), (0, Midi([0xe3, 0, 96]))];
    script.extend(note(11));
    let heard = running.play(&script, CLIP / 2).heard;
    let ratio = 2f64.powf(4096.0 / 8191.0 * 2.0 / 12.0);
    let [bent, straight] = [ratio, 1.0].map(|speed| likeness(&heard, &clip, speed));
    println!("clack-host, wheel half up: likeness {bent} to the bent clip, {straight} to the straight one");
    assert!(bent > 0.99 && straight < 0.9, "{bent} {straight}");
    assert_eq!(instance.value("Pitch Bend"), 0.75);
    running.hush();
    let centred = running.play(&[(0, Midi([0xe0, 0, 64])), (1, On(60, None))], CLIP).heard;
    let error = difference(&centred.map(|c| c[1..].to_vec()), &clip);
    assert!(error < EQUAL, "the centre is exact: {error}");
    assert_eq!(instance.value("Pitch Bend"), 0.5);
    instance.stop(running);
}

#[test]
fn host_hears_when_a_voice_has_ended() {
    host::on_cpu();
    let (mut instance, mut running) = Instance::offline();
    let mut script = vec![(0, Set("Bars", 0.0))];
    script.extend([(0, On(60, Some(17))), (0, On(64, None)), (3000, Off(60))]);
    let ended = running.play(&script, 10 * BLOCK).ended;
    let [(at, key, number)] = ended[..] else { panic!("{ended:?}") };
    assert_eq!((key, number), (Match::Specific(60), Match::Specific(17)));
    // After the release of 8 ms.
    assert!((3000..4500).contains(&at), "{at}");
    let ended = running.play(&[(0, Off(64))], 10 * BLOCK).ended;
    assert_eq!(ended.iter().map(|e| e.1).collect::<Vec<_>>(), [Match::Specific(64)]);
    instance.stop(running);
}

/// The keys' names as a host reads them.
fn names(instance: &mut Instance) -> Vec<(Match<u16>, String)> {
    let handle = instance.clack.plugin_handle();
    let extension: PluginNoteName = handle.get_extension().unwrap();
    let name = |index| {
        let mut buffer = NoteNameBuffer::new();
        let named = extension.get(&handle, index as u32, &mut buffer).unwrap();
        assert!(named.port.is_all() && named.channel.is_all());
        (named.key, String::from_utf8(named.name.to_vec()).unwrap())
    };
    (0..extension.count(&handle)).map(name).collect()
}

#[test]
fn keys_are_named_after_what_they_play() {
    host::on_cpu();
    let (mut instance, mut running) = Instance::offline();
    assert_eq!(names(&mut instance), [(Match::Specific(60), "Loop".to_string())]);
    // One bar: four beats, from C2 on.
    running.play(&[(0, Set("Bars", 0.0)), (0, Set("Mode", 2.0)), (0, On(36, None))], 4 * BLOCK);
    let told = instance.idle();
    assert!(told >= 1, "the host is told");
    let beats = |n: u16| (0..n).map(|i| (Match::Specific(36 + i), format!("Slice {}", i + 1))).collect::<Vec<_>>();
    assert_eq!(names(&mut instance), beats(4));
    // Two bars: the new clip comes with the next note.
    running.play(&[(0, Off(36)), (0, Set("Bars", 1.0)), (BLOCK, On(36, None))], 4 * BLOCK);
    assert!(instance.idle() > told, "the host is told again");
    assert_eq!(names(&mut instance), beats(8));
    running.play(&[(0, Set("Mode", 1.0))], BLOCK);
    assert_eq!(names(&mut instance), []);
    instance.stop(running);
}

#[test]
fn clip_keeps_pitch_and_length_at_every_rate() {
    host::on_cpu();
    let folder = tempfile::tempdir().unwrap();
    let clip = read(&wav(folder.path(), 12, 1, 120));
    let mut instance = Instance::new();
    instance.render_mode(RenderMode::Offline);
    let mut script = vec![(0, Set("Bars", 0.0))];
    script.extend(note(12));
    // Deactivated and activated again while the note sounds.
    for rate in [44_100.0, 22_050.0, 96_000.0, 192_000.0, 44_100.0] {
        let mut running = instance.start(rate);
        let length = (2.0 * rate) as usize;
        let heard = running.play(&script, 2 * length).heard;
        let speed = RATE / rate;
        let found = likeness(&heard.clone().map(|c| c[..length / 4].to_vec()), &clip, speed);
        // The second time round is the first again: so long is the loop.
        let rounds = [&heard[0][200..length], &heard[0][length + 200..]];
        let far = rounds[0].iter().zip(rounds[1]).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        println!("clack-host at {rate} Hz: likeness {found}, rounds differ by {far:e}");
        assert!(found > 0.99 && far < 1e-3, "{rate}: {found} {far}");
        instance.stop(running);
    }
}
