//! Devices of other machines, `remote:[TOKEN@]HOST[:PORT][/N]`, over Burn's own protocol (WebSocket, not
//! encrypted); `flowloop serve` is the other side.
//!
//! A session is opened once for each device and stays for the life of the process; one that was lost is opened
//! anew when the device is next asked for.

use std::sync::{Mutex, MutexGuard};

use burn::remote::{ConnectError, RemoteHost};
use burn::tensor::Device;

use super::relay::{self, CLOSED_HERE, Relay};
use super::{Adapter, DeviceError, guarded};

/// Describes a device of another machine, with what follows.
pub const PREFIX: &str = "remote:";
/// Port that `flowloop serve` listens at when nothing else is said.
pub const PORT: u16 = 3000;
/// Names a server's token where the description does not.
pub const TOKEN: &str = "FLOWLOOP_TOKEN";

/// True of a device of another machine.
pub fn is_remote(description: &str) -> bool {
    description.starts_with(PREFIX)
}

/// A description as it may be shown: without its token.
pub fn shown(description: &str) -> String {
    match description.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('@')) {
        Some((_, address)) => format!("{PREFIX}{address}"),
        None => description.into(),
    }
}

/// A device of a server.
#[derive(Clone, Debug, PartialEq)]
struct Remote {
    /// `host:port`.
    address: String,
    index: usize,
    /// Empty for none.
    token: String,
}

/// A session with a device, and what it goes through.
struct Session {
    remote: Remote,
    device: Device,
    relay: Relay,
}

/// All that were opened, the newest last.
static SESSIONS: Mutex<Vec<Session>> = Mutex::new(Vec::new());

fn sessions() -> MutexGuard<'static, Vec<Session>> {
    SESSIONS.lock().unwrap_or_else(|e| e.into_inner())
}

/// Ends every connection of this process, so that nobody waits for an answer any longer. A device that is asked for
/// later is connected to anew.
pub fn hang_up() {
    relay::hang_up();
}

/// What became of a device's connection, when it was lost: Burn's own errors do not tell.
pub fn lost(device: &Device) -> Option<String> {
    let device = device.clone().inner();
    let sessions = sessions();
    let session = sessions.iter().rev().find(|s| s.device == device)?;
    let why = session.relay.ended()?;
    let address = &session.remote.address;
    Some(format!("the connection to {address} was lost: {why}; see whether `flowloop serve` still runs there"))
}

/// The device of a description that begins with [`PREFIX`].
pub(super) fn choose(description: &str) -> Result<Adapter, DeviceError> {
    let mut remote = Remote::parse(description)?;
    if remote.token.is_empty() {
        remote.token = std::env::var(TOKEN).unwrap_or_default();
    }
    let (id, name) = remote.names();
    let mut sessions = sessions();
    let open = sessions.iter().find(|s| s.remote == remote && s.relay.ended().is_none());
    let device = match open {
        Some(session) => session.device.clone(),
        None => {
            let session = remote.connect()?;
            let device = session.device.clone();
            sessions.push(session);
            device
        }
    };
    Ok(Adapter { id, name, hardware: true, device, half: false })
}

impl Remote {
    fn parse(description: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Address(shown(description));
        let rest = description.strip_prefix(PREFIX).ok_or_else(unknown)?;
        let (token, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (host, index) = match rest.split_once('/') {
            Some((host, index)) => (host, index.parse().map_err(|_| unknown())?),
            None => (rest, 0),
        };
        // The colons of an IPv6 address are within brackets.
        let (name, port) = match host.rsplit_once(':').filter(|_| !host.ends_with(']')) {
            Some((name, port)) => (name, port.parse().map_err(|_| unknown())?),
            None => (host, PORT),
        };
        let bracketed = name.starts_with('[') && name.ends_with(']');
        let sound =
            !name.is_empty() && (bracketed || !name.contains([':', '[', ']'])) && !name.contains(char::is_whitespace);
        match sound && port > 0 {
            true => Ok(Self { address: format!("{name}:{port}"), index, token: token.into() }),
            false => Err(unknown()),
        }
    }

    /// Its description without a token, and its name.
    fn names(&self) -> (String, String) {
        let address = &self.address;
        match self.index {
            0 => (format!("{PREFIX}{address}"), address.clone()),
            n => (format!("{PREFIX}{address}/{n}"), format!("{address}, device {n}")),
        }
    }

    fn connect(self) -> Result<Session, DeviceError> {
        let unreachable = |reason: String| DeviceError::Unreachable { address: self.address.clone(), reason };
        let relay = Relay::open(&self.address).map_err(|e| unreachable(e.to_string()))?;
        let mut host = RemoteHost::websocket(&format!("ws://127.0.0.1:{}", relay.port()));
        if !self.token.is_empty() {
            host = host.with_credential(&self.token);
        }
        let opened = guarded(|| Device::remote_options(&host).device_index(self.index).init()).map_err(&unreachable)?;
        let device = opened.map_err(|error| match error {
            ConnectError::Unauthorized => DeviceError::Token(self.address.clone()),
            ConnectError::NoSuchDevice { device_count } => {
                DeviceError::Index { address: self.address.clone(), index: self.index, count: device_count }
            }
            ConnectError::IncompatibleProtocol { .. } => DeviceError::Version(self.address.clone()),
            other => {
                let why = relay.ended().filter(|why| *why != CLOSED_HERE);
                unreachable(why.map_or(other.to_string(), String::from))
            }
        })?;
        Ok(Session { remote: self, device, relay })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(description: &str) -> Option<(String, usize, String)> {
        Remote::parse(description).ok().map(|r| (r.address, r.index, r.token))
    }

    #[test]
    fn addresses_are_understood() {
        let of = |address: &str, index, token: &str| Some((address.to_string(), index, token.to_string()));
        assert_eq!(parsed("remote:studio"), of("studio:3000", 0, ""));
        assert_eq!(parsed("remote:10.0.0.5:4000/2"), of("10.0.0.5:4000", 2, ""));
        assert_eq!(parsed("remote:p@ss@studio:4000"), of("studio:4000", 0, "p@ss"));
        assert_eq!(parsed("remote:[::1]:4000/1"), of("[::1]:4000", 1, ""));
        assert_eq!(parsed("remote:[::1]"), of("[::1]:3000", 0, ""));
        for wrong in
            ["remote:", "remote::3000", "remote:a b", "remote:h:port", "remote:h:0", "remote:h:3000/x", "remote:::1"]
        {
            assert!(matches!(Remote::parse(wrong), Err(DeviceError::Address(_))), "{wrong}");
        }
        let names = |description: &str| Remote::parse(description).unwrap().names();
        assert_eq!(names("remote:t@studio"), ("remote:studio:3000".into(), "studio:3000".into()));
        assert_eq!(names("remote:studio/2"), ("remote:studio:3000/2".into(), "studio:3000, device 2".into()));
        assert!(is_remote("remote:studio") && !is_remote("gpu:0"));
    }

    #[test]
    fn a_token_is_not_shown() {
        assert_eq!(shown("remote:secret@studio:4000/1"), "remote:studio:4000/1");
        assert_eq!((shown("remote:studio"), shown("gpu:0")), ("remote:studio".into(), "gpu:0".into()));
        let error = choose("remote:secret@studio:x").unwrap_err().to_string();
        assert!(error.contains("remote:studio:x") && !error.contains("secret"), "{error}");
    }
}
