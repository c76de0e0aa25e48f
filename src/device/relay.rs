//! A session's way to another machine: bytes handed on between Burn's client and the server, by two threads.
//!
//! Burn's client waits for as long as a connection stands, and takes up no session again that was lost. A relay
//! ends the connection when the server is gone, also when it only stopped answering (a machine asleep, a cable
//! pulled, a process halted), knows why, and gives each session a port of its own. How long a step takes does not
//! matter: a server that computes still answers when asked for a page.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

/// How long reaching a machine may take, for each of its addresses.
const REACHING: Duration = Duration::from_secs(5);
/// As patient as Burn is with a machine that vanished: half a minute in all.
const PATIENCE: Patience = Patience { silence: Duration::from_secs(10), answering: Duration::from_secs(20) };
/// Bytes handed on at a time.
const CHUNK: usize = 256 * 1024;

/// Why a connection ended that Burn's client closed.
pub(super) const CLOSED_HERE: &str = "it was closed on this machine";

/// How long a server may say nothing.
#[derive(Clone, Copy)]
struct Patience {
    /// Silence after which it is asked whether it is still there.
    silence: Duration,
    /// How long it may take to say so.
    answering: Duration,
}

/// All that stand, also while a session is being opened over them.
static LINES: Mutex<Vec<Weak<Line>>> = Mutex::new(Vec::new());

/// Ends every connection: whoever waits for an answer gets an error instead.
pub(super) fn hang_up() {
    let lines = std::mem::take(&mut *LINES.lock().unwrap_or_else(|e| e.into_inner()));
    lines.iter().filter_map(Weak::upgrade).for_each(|line| line.end(CLOSED_HERE));
}

/// A way that was opened.
pub(super) struct Relay {
    port: u16,
    line: Arc<Line>,
}

/// What the two threads share.
struct Line {
    patience: Patience,
    server: SocketAddr,
    far: TcpStream,
    near: OnceLock<TcpStream>,
    /// Why it ended, once it has.
    ended: OnceLock<String>,
}

impl Relay {
    /// Reaches the server at `address` (`host:port`) and waits for one client on this machine.
    pub fn open(address: &str) -> io::Result<Self> {
        Self::open_with(address, PATIENCE)
    }

    fn open_with(address: &str, patience: Patience) -> io::Result<Self> {
        let far = reach(address)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let line = Arc::new(Line {
            patience,
            server: far.peer_addr()?,
            far: far.try_clone()?,
            near: OnceLock::new(),
            ended: OnceLock::new(),
        });
        let mut lines = LINES.lock().unwrap_or_else(|e| e.into_inner());
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(&line));
        drop(lines);
        let own = line.clone();
        spawn(move || match listener.accept() {
            Ok((near, _)) => own.join(near, far),
            Err(error) => own.end(&error.to_string()),
        })?;
        Ok(Self { port, line })
    }

    /// Where the client is to connect to, on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Why the connection ended; None while it stands.
    pub fn ended(&self) -> Option<&str> {
        self.line.ended.get().map(String::as_str)
    }
}

impl Line {
    /// Hands on what comes from either side until one of them ends.
    fn join(self: Arc<Self>, near: TcpStream, far: TcpStream) {
        let prepared = near.set_nodelay(true).and_then(|()| far.set_read_timeout(Some(self.patience.silence)));
        let ours = prepared.and_then(|()| near.try_clone());
        let started = ours.and_then(|ours| {
            let _ = self.near.set(ours);
            let (line, from, to) = (self.clone(), near.try_clone()?, far.try_clone()?);
            spawn(move || line.send(from, to))
        });
        match started {
            Ok(()) => self.receive(far, near),
            Err(error) => self.end(&error.to_string()),
        }
    }

    fn send(&self, mut near: TcpStream, mut far: TcpStream) {
        let mut chunk = vec![0; CHUNK];
        loop {
            match near.read(&mut chunk) {
                Ok(0) | Err(_) => return self.end(CLOSED_HERE),
                Ok(n) => {
                    if let Err(error) = far.write_all(&chunk[..n]) {
                        return self.end(&error.to_string());
                    }
                }
            }
        }
    }

    fn receive(&self, mut far: TcpStream, mut near: TcpStream) {
        let mut chunk = vec![0; CHUNK];
        loop {
            match far.read(&mut chunk) {
                Ok(0) => return self.end("it was closed over there"),
                Ok(n) => {
                    if near.write_all(&chunk[..n]).is_err() {
                        return self.end(CLOSED_HERE);
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if self.answers().is_err() {
                        let all = (self.patience.silence + self.patience.answering).as_secs_f32();
                        return self.end(&format!("it has not answered for {all} seconds"));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.end(&error.to_string()),
            }
        }
    }

    /// Asks for a page, which Burn's servers do not have: that they say so is enough.
    fn answers(&self) -> io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&self.server, self.patience.answering)?;
        stream.set_read_timeout(Some(self.patience.answering))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: flowloop\r\nConnection: close\r\n\r\n")?;
        match stream.read(&mut [0])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Closes both sides; the first reason counts.
    fn end(&self, why: &str) {
        let _ = self.ended.set(why.into());
        let _ = self.far.shutdown(Shutdown::Both);
        if let Some(near) = self.near.get() {
            let _ = near.shutdown(Shutdown::Both);
        }
    }
}

fn reach(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, REACHING) {
            Ok(stream) => return stream.set_nodelay(true).map(|()| stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name("flowloop relay".into()).spawn(run).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Patience = Patience { silence: Duration::from_millis(20), answering: Duration::from_millis(200) };

    fn server() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, address)
    }

    fn client(relay: &Relay) -> TcpStream {
        TcpStream::connect(("127.0.0.1", relay.port())).unwrap()
    }

    #[test]
    fn a_slow_server_is_waited_for_and_what_it_says_arrives() {
        let (listener, address) = server();
        let relay = Relay::open_with(&address, SHORT).unwrap();
        let mut near = client(&relay);
        let (mut session, _) = listener.accept().unwrap();
        near.write_all(b"work").unwrap();
        session.read_exact(&mut [0; 4]).unwrap();
        // It works for as long as it takes to be asked five times.
        for _ in 0..5 {
            let (mut asked, _) = listener.accept().unwrap();
            asked.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
        }
        assert_eq!(relay.ended(), None);
        session.write_all(b"done").unwrap();
        let mut answer = [0; 4];
        near.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"done");
        drop(listener);
        drop(session);
        assert_eq!(near.read(&mut answer).unwrap(), 0, "whoever waits is told");
        assert!(relay.ended().unwrap().contains("closed over there"), "{:?}", relay.ended());
    }

    #[test]
    fn a_server_that_stopped_answering_is_given_up() {
        // Connections still come in: the system accepts them for a process that is halted.
        let (_listener, address) = server();
        let relay = Relay::open_with(&address, SHORT).unwrap();
        let mut near = client(&relay);
        near.write_all(b"work").unwrap();
        assert_eq!(near.read(&mut [0]).unwrap(), 0, "nobody waits for ever");
        assert!(relay.ended().unwrap().contains("has not answered"), "{:?}", relay.ended());
    }

    #[test]
    fn a_client_that_leaves_is_no_loss() {
        let (listener, address) = server();
        let relay = Relay::open_with(&address, SHORT).unwrap();
        drop(client(&relay));
        let (mut session, _) = listener.accept().unwrap();
        assert_eq!(session.read(&mut [0]).unwrap(), 0, "the server is told");
        assert!(Relay::open_with(&address.replace("127.0.0.1", "nowhere.invalid"), SHORT).is_err());
    }
}
