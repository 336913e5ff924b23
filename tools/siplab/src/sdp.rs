//! The product's session descriptions as a peer reads them, and the peer's own from their lines.

use fax_dsp::g711::Law;
use std::net::{IpAddr, SocketAddr};

/// One `m=` line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) image: bool,
    pub(crate) at: Option<SocketAddr>,
    pub(crate) formats: Vec<String>,
    pub(crate) attributes: Vec<String>,
}

/// The live lines of a description, its image before its audio.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sdp {
    pub(crate) image: Option<Line>,
    pub(crate) audio: Option<Line>,
}

impl Sdp {
    pub(crate) fn read(text: &str) -> Sdp {
        let mut session: Option<IpAddr> = None;
        let mut lines: Vec<(Line, u16)> = Vec::new();
        for line in text.lines() {
            let Some((kind, value)) = line.split_once('=') else {
                continue;
            };
            match kind {
                "c" => {
                    let ip = value.split_whitespace().nth(2).and_then(|a| a.parse().ok());
                    match lines.last_mut() {
                        Some((line, port)) => line.at = ip.map(|ip| SocketAddr::new(ip, *port)),
                        None => session = ip,
                    }
                }
                "m" => {
                    let mut words = value.split_whitespace();
                    let kind = words.next().unwrap_or_default().to_ascii_lowercase();
                    let port: u16 = words.next().and_then(|p| p.parse().ok()).unwrap_or(0);
                    let at = session.map(|ip| SocketAddr::new(ip, port));
                    let formats = words.skip(1).map(str::to_owned).collect();
                    let image = kind != "audio";
                    lines.push((Line { image, at, formats, attributes: Vec::new() }, port));
                }
                "a" => {
                    if let Some((line, _)) = lines.last_mut() {
                        line.attributes.push(value.trim().to_owned());
                    }
                }
                _ => {}
            }
        }
        let live =
            |image| lines.iter().find(|(l, port)| l.image == image && *port != 0).map(|(l, _)| l.clone());
        Sdp { image: live(true), audio: live(false) }
    }
}

impl Line {
    /// The value of an attribute, in any letter case.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find_map(|a| {
            let (key, value) = a.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// G.711 in this line: payload types and laws, in order.
    pub(crate) fn codecs(&self) -> Vec<(u8, Law)> {
        let law = |format: &String| {
            let mapped = self.attributes.iter().find_map(|a| {
                let (number, name) = a.strip_prefix("rtpmap:")?.split_once(' ')?;
                (number == format).then(|| name.to_ascii_uppercase())
            });
            match (mapped.as_deref(), format.as_str()) {
                (Some(name), _) if name.starts_with("PCMA") => Some(Law::A),
                (Some(name), _) if name.starts_with("PCMU") => Some(Law::Mu),
                (None, "8") => Some(Law::A),
                (None, "0") => Some(Law::Mu),
                _ => None,
            }
        };
        self.formats.iter().filter_map(|f| Some((f.parse().ok()?, law(f)?))).collect()
    }
}

/// The peer's own description.
pub(crate) fn write(lines: &[String], ip: IpAddr, audio: u16, image: u16, version: u32) -> String {
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    let first_media = lines.iter().position(|l| l.starts_with("m=")).unwrap_or(lines.len());
    let (session, media) = lines.split_at(first_media);
    let mut text = format!("v=0\r\no=peer 77 {version} IN {family} {ip}\r\ns=-\r\n");
    let fill = |line: &str| {
        line.replace("{ip}", &format!("IN {family} {ip}"))
            .replace("{audio}", &audio.to_string())
            .replace("{image}", &image.to_string())
    };
    if !session.iter().any(|l| l.starts_with("c=") || l == "no c=") {
        text.push_str(&format!("c=IN {family} {ip}\r\n"));
    }
    for line in session.iter().filter(|l| l.starts_with("c=")) {
        text.push_str(&format!("{}\r\n", fill(line)));
    }
    text.push_str("t=0 0\r\n");
    for line in session.iter().filter(|l| !l.starts_with("c=") && *l != "no c=").chain(media) {
        text.push_str(&format!("{}\r\n", fill(line)));
    }
    text
}
