//! The companion program: where it is, and runs of it that the window follows. It is shipped inside the
//! VST3 bundle and beside the CLAP.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// File name of the companion.
pub const NAME: &str = if cfg!(windows) { "flowloop.exe" } else { "flowloop" };
/// Lines of output that are kept.
const LINES: usize = 200;
/// How much a run yields to the host's audio (nice value on Unix).
#[cfg(unix)]
const YIELD: i32 = 15;

/// The companion that came with this plugin: beside the library (as in a VST3 bundle) or beside the
/// bundle, else the first on the search path.
pub fn find() -> Option<PathBuf> {
    let library = process_path::get_dylib_path();
    let beside = library.as_deref().and_then(|l| l.ancestors().skip(1).take(4).find_map(program_in));
    let path = std::env::var_os("PATH");
    beside.or_else(|| std::env::split_paths(path.as_ref()?).find_map(|p| program_in(&p)))
}

fn program_in(folder: &Path) -> Option<PathBuf> {
    let path = folder.join(NAME);
    path.is_file().then_some(path)
}

/// A run of the companion. Dropped, it is interrupted; what it has saved stays.
pub struct Run {
    child: Child,
    said: Arc<Mutex<Said>>,
    ended: Option<bool>,
}

/// What a run has said so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Its last lines, errors too.
    pub lines: Vec<String>,
    /// Done, of how much.
    pub progress: Option<(u64, u64)>,
    /// The last line that told of progress.
    pub now: String,
}

impl Said {
    fn hear(&mut self, line: String) {
        if let Some(progress) = progress_in(&line) {
            (self.progress, self.now) = (Some(progress), line);
            return;
        }
        self.lines.push(line);
        self.lines.drain(..self.lines.len().saturating_sub(LINES));
    }
}

impl Run {
    /// Starts it, at a low priority so that the host's audio comes first.
    pub fn start(program: &Path, arguments: &[String]) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let fault = |e: std::io::Error| format!("{} could not be started: {e}. Install it again", program.display());
        let mut child = command.spawn().map_err(fault)?;
        #[cfg(unix)]
        // SAFETY: a call with plain numbers; that it is refused changes nothing.
        unsafe {
            libc::setpriority(libc::PRIO_PROCESS, child.id(), YIELD);
        }
        let said = Arc::new(Mutex::new(Said::default()));
        let output = child.stdout.take().map(|o| Box::new(o) as Box<dyn Read + Send>);
        let errors = child.stderr.take().map(|e| Box::new(e) as Box<dyn Read + Send>);
        for output in [output, errors].into_iter().flatten() {
            let said = said.clone();
            let listen = move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    said.lock().unwrap_or_else(|e| e.into_inner()).hear(line);
                }
            };
            let _ = std::thread::Builder::new().name("flowloop companion".into()).spawn(listen);
        }
        Ok(Self { child, said, ended: None })
    }

    /// What it has said so far.
    pub fn said(&self) -> Said {
        self.said.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// None while it runs; then whether it ended well.
    pub fn ended(&mut self) -> Option<bool> {
        if self.ended.is_none() {
            self.ended = match self.child.try_wait() {
                Ok(status) => status.map(|s| s.success()),
                Err(_) => Some(false),
            };
        }
        self.ended
    }

    /// Asks it to save what it has and to end, as ctrl-c does; where there is no such thing it is ended.
    pub fn interrupt(&mut self) {
        if self.ended().is_some() {
            return;
        }
        #[cfg(unix)]
        // SAFETY: the child has not been waited for, so its number is its own.
        unsafe {
            libc::kill(self.child.id() as i32, libc::SIGINT);
        }
        #[cfg(not(unix))]
        let _ = self.child.kill();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.interrupt();
    }
}

/// "… 120/4000 …": done, of how much.
fn progress_in(line: &str) -> Option<(u64, u64)> {
    let fraction = |word: &str| {
        let (done, all) = word.trim_end_matches([':', ',']).split_once('/')?;
        let (done, all): (u64, u64) = (done.parse().ok()?, all.parse().ok()?);
        (all > 0 && done <= all).then_some((done, all))
    };
    line.split_whitespace().find_map(fraction)
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn wait(run: &mut Run) -> bool {
        let start = Instant::now();
        loop {
            if let Some(well) = run.ended() {
                // What it said last is read by another thread.
                std::thread::sleep(Duration::from_millis(50));
                return well;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "it has not ended");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn shell(script: &str) -> Run {
        Run::start(Path::new("/bin/sh"), &["-c".into(), script.into()]).unwrap()
    }

    #[test]
    fn lines_progress_and_the_end_are_heard() {
        let mut run = shell("echo reading; echo 'training on CPU 20/80: loss 1.2, 3 min left'; echo bad >&2; exit 3");
        assert!(!wait(&mut run));
        let mut said = run.said();
        said.lines.sort();
        assert_eq!((said.lines, said.progress), (vec!["bad".to_string(), "reading".into()], Some((20, 80))));
        assert!(said.now.ends_with("3 min left"));
        assert!(Run::start(Path::new("/no/where"), &[]).err().unwrap().contains("Install it again"));
    }

    #[test]
    fn an_interrupted_run_may_save_what_it_has() {
        let mut run = shell("trap 'echo saved; exit 0' INT; echo ready; while :; do sleep 0.05; done");
        let start = Instant::now();
        while run.said().lines.is_empty() {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
        run.interrupt();
        assert!(wait(&mut run));
        assert_eq!(run.said().lines, ["ready", "saved"]);
    }

    #[test]
    fn fractions_are_progress_and_paths_are_not() {
        assert_eq!(progress_in("encoding 3/12, 4 s left"), Some((3, 12)));
        assert_eq!(progress_in("training on AMD 40/4000: loss 1.2, 3 min left"), Some((40, 4000)));
        for line in ["/tmp/3/12", "step 40: loss 1.1", "9/3", "a/b"] {
            assert_eq!(progress_in(line), None, "{line}");
        }
    }
}
