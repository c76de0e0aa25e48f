//! `flowloop serve`: this machine's devices for other machines, with Burn's own server.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use anyhow::{Context, anyhow, bail};
use burn::server::{RemoteServer, ServeError, TokenAuthorizer, WebSocketTransport};
use clap::Args;
use flowloop::device::{self, remote};

#[derive(Args)]
pub struct Serve {
    /// Address to listen at; 0.0.0.0:3000 lets other machines in
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:3000")]
    bind: String,
    /// Devices to serve, all of one kind: auto, cpu, or gpu:0,gpu:1
    #[arg(long, value_delimiter = ',', default_value = "auto")]
    device: Vec<String>,
    /// Serve only those who know this token; the environment's FLOWLOOP_TOKEN does the same
    #[arg(long)]
    token: Option<String>,
}

impl Serve {
    pub fn run(self) -> anyhow::Result<()> {
        if let Some(other) = self.device.iter().find(|d| remote::is_remote(d)) {
            bail!("{} is served by its own machine; --device names devices of this one", remote::shown(other));
        }
        let listener = self.listen()?;
        let address = listener.local_addr()?;
        let adapters = self.device.iter().map(|d| device::choose(d)).collect::<Result<Vec<_>, _>>()?;
        let mut server = RemoteServer::new(adapters.iter().map(|a| a.device.clone()));
        let token = self.token.clone().or_else(|| std::env::var(remote::TOKEN).ok().filter(|t| !t.is_empty()));
        if let Some(token) = &token {
            server = server.with_authorizer(TokenAuthorizer::new(token).context("--token is empty; leave it out")?);
        }
        for (index, adapter) in adapters.iter().enumerate() {
            println!("serving {} as {}", adapter.name, naming(address, index, token.is_some()));
        }
        println!("{}", advice(address, token.is_some()));
        server.serve(WebSocketTransport::from_listener(listener)).map_err(|error| match error {
            ServeError::MixedBackends => {
                anyhow!("one server has either the CPU or GPUs; start another one at another port for the rest")
            }
            other => anyhow!("{other}"),
        })
    }

    fn listen(&self) -> anyhow::Result<TcpListener> {
        let bind = &self.bind;
        let addresses: Vec<SocketAddr> = bind
            .to_socket_addrs()
            .map_err(|e| anyhow!("--bind {bind:?} is no address ({e}); write HOST:PORT, as 127.0.0.1:3000"))?
            .collect();
        TcpListener::bind(&*addresses).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => {
                anyhow!("{bind} is in use, perhaps by another `flowloop serve`; choose another port with --bind")
            }
            ErrorKind::AddrNotAvailable => {
                anyhow!("{bind} is no address of this machine; --bind 0.0.0.0:3000 listens at all of them")
            }
            ErrorKind::PermissionDenied => anyhow!("{bind} is not allowed to you ({error}); choose a port above 1023"),
            _ => anyhow!("cannot listen at {bind}: {error}"),
        })
    }
}

/// What to type on the other side.
fn naming(address: SocketAddr, index: usize, token: bool) -> String {
    let host = match address.ip() {
        any if any.is_unspecified() => "THIS_MACHINE".into(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let device = if index == 0 { String::new() } else { format!("/{index}") };
    format!("--device remote:{}{host}:{}{device}", if token { "TOKEN@" } else { "" }, address.port())
}

/// How to reach it from elsewhere, and how safely.
fn advice(address: SocketAddr, token: bool) -> String {
    let port = address.port();
    let tunnel = format!("ssh -N -L {port}:127.0.0.1:{port} THIS_MACHINE");
    if address.ip().is_loopback() {
        return format!(
            "only this machine reaches it; for others, run `{tunnel}` over there, then use the same --device there. Ctrl-c ends it"
        );
    }
    let open = if token { "" } else { " and whoever reaches this port may use the device (--token asks for a word)" };
    format!(
        "warning: the connection has no encryption{open}. Outside of a network that you trust, bind to 127.0.0.1:{port} and run `{tunnel}` over there. Ctrl-c ends it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_what_to_type() {
        let at = |address: &str, index, token| naming(address.parse().unwrap(), index, token);
        assert_eq!(at("127.0.0.1:3000", 0, false), "--device remote:127.0.0.1:3000");
        assert_eq!(at("[::1]:4000", 1, true), "--device remote:TOKEN@[::1]:4000/1");
        assert_eq!(at("0.0.0.0:3000", 0, false), "--device remote:THIS_MACHINE:3000");
    }

    #[test]
    fn an_open_port_is_warned_of() {
        let at = |address: &str, token| advice(address.parse().unwrap(), token);
        assert!(!at("127.0.0.1:3000", false).contains("warning"));
        let open = at("0.0.0.0:3000", false);
        assert!(
            open.contains("no encryption") && open.contains("whoever") && open.contains("ssh -N -L 3000"),
            "{open}"
        );
        assert!(!at("192.168.0.2:3000", true).contains("whoever"));
    }
}
