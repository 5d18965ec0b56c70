//! A mail server after RFC 5321: EHLO, AUTH, MAIL, RCPT, DATA, with pipelining and a size limit, without TLS. Every
//! sender, password and recipient is welcome.

use std::time::Duration;

use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Heard;

/// The largest message: a bulletin with a map is some 100 kB.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest line: RFC 5321 allows 1,000 for text and 12,288 for AUTH.
const LINE_BYTES_MAX: u64 = 12_288;
/// Recipients in one message.
const RECIPIENTS_MAX: usize = 100;
/// How long a client may stay silent: RFC 5321 asks for five minutes.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// What follows a command.
enum Next {
    Say(&'static str),
    SayThenRead(&'static str),
    Data,
    Quit,
}

struct Session {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    from: Option<String>,
    to: Vec<String>,
}

/// Serves one client to its end.
pub(super) async fn serve(stream: TcpStream, heard: mpsc::Sender<Heard>) -> std::io::Result<()> {
    let (reader, writer) = stream.into_split();
    let mut session =
        Session { reader: BufReader::new(reader), writer, from: None, to: Vec::new() };
    session.say("220 firmware-sim ESMTP").await?;
    while let Some(line) = session.line().await? {
        match session.obey(&line) {
            Next::Say(answer) => session.say(answer).await?,
            Next::SayThenRead(answer) => {
                session.say(answer).await?;
                session.credentials(&line).await?;
            }
            Next::Data => session.receive(&heard).await?,
            Next::Quit => return session.say("221 bye").await,
        }
    }
    Ok(())
}

impl Session {
    fn obey(&mut self, line: &str) -> Next {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.reset();
                Next::Say(
                    "250-firmware-sim\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
                     250-AUTH PLAIN LOGIN\r\n250 SIZE 4194304",
                )
            }
            "HELO" => Next::Say("250 firmware-sim"),
            "AUTH" => self.authenticate(rest),
            "MAIL" => self.mail(rest),
            "RCPT" => self.recipient(rest),
            "DATA" if self.to.is_empty() => Next::Say("503 no recipients"),
            "DATA" => Next::Data,
            "RSET" => {
                self.reset();
                Next::Say("250 forgotten")
            }
            "NOOP" => Next::Say("250 ok"),
            "VRFY" => Next::Say("252 send and see"),
            "QUIT" => Next::Quit,
            _ => Next::Say("500 not understood"),
        }
    }

    fn authenticate(&self, rest: &str) -> Next {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        match (mechanism.to_ascii_uppercase().as_str(), initial.is_empty()) {
            ("PLAIN", false) => Next::Say("235 welcome"),
            ("PLAIN", true) => Next::SayThenRead("334 "),
            ("LOGIN", _) => {
                // `Username:` or, where the name came at once, `Password:`, in base64.
                Next::SayThenRead(if initial.is_empty() {
                    "334 VXNlcm5hbWU6"
                } else {
                    "334 UGFzc3dvcmQ6"
                })
            }
            _ => Next::Say("504 mechanism not known"),
        }
    }

    /// Reads what the mechanism still owes, believes it.
    async fn credentials(&mut self, command: &str) -> std::io::Result<()> {
        let asked_name = command.to_ascii_uppercase().trim_end() == "AUTH LOGIN";
        self.line().await?;
        if asked_name {
            self.say("334 UGFzc3dvcmQ6").await?;
            self.line().await?;
        }
        self.say("235 welcome").await
    }

    fn mail(&mut self, rest: &str) -> Next {
        let Some(from) = address(rest, "FROM:") else {
            return Next::Say("501 MAIL FROM:<address>");
        };
        let size = rest.to_ascii_uppercase().split("SIZE=").nth(1).map(|s| {
            s.split(' ').next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(usize::MAX)
        });
        if size.is_some_and(|size| MESSAGE_BYTES_MAX < size) {
            return Next::Say("552 message too large");
        }
        self.reset();
        self.from = Some(from);
        Next::Say("250 ok")
    }

    fn recipient(&mut self, rest: &str) -> Next {
        let Some(to) = address(rest, "TO:") else { return Next::Say("501 RCPT TO:<address>") };
        if self.from.is_none() {
            return Next::Say("503 MAIL first");
        }
        if RECIPIENTS_MAX <= self.to.len() {
            return Next::Say("452 too many recipients");
        }
        self.to.push(to);
        Next::Say("250 ok")
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }

    async fn receive(&mut self, heard: &mpsc::Sender<Heard>) -> std::io::Result<()> {
        self.say("354 end with a dot").await?;
        let mut message = Vec::new();
        let mut too_large = false;
        loop {
            let Some(line) = self.bytes().await? else { return Ok(()) };
            if line == b".\r\n" || line == b".\n" {
                break;
            }
            // A line that begins with a dot was given another one.
            let line = line.strip_prefix(b".").unwrap_or(&line);
            too_large |= MESSAGE_BYTES_MAX < message.len() + line.len();
            if !too_large {
                message.extend_from_slice(line);
            }
        }
        if too_large {
            self.reset();
            return self.say("552 message too large").await;
        }
        let email =
            read(&message, self.from.take().unwrap_or_default(), std::mem::take(&mut self.to));
        match heard.send(email).await {
            Ok(()) => self.say("250 taken").await,
            Err(_) => self.say("421 closing").await,
        }
    }

    async fn say(&mut self, answer: &str) -> std::io::Result<()> {
        self.writer.write_all(format!("{answer}\r\n").as_bytes()).await
    }

    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let line = self.bytes().await?;
        Ok(line.map(|l| String::from_utf8_lossy(&l).trim_end().to_owned()))
    }

    /// The next line, its end included; nothing at the end of the stream.
    async fn bytes(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(LINE_BYTES_MAX);
        timeout(SILENCE_MAX, limited.read_until(b'\n', &mut line)).await??;
        match line.last() {
            Some(b'\n') => Ok(Some(line)),
            Some(_) if LINE_BYTES_MAX <= line.len() as u64 => {
                self.say("500 line too long").await?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}

/// `FROM:<a@b> SIZE=…` → `a@b`.
fn address(rest: &str, keyword: &str) -> Option<String> {
    let (head, tail) = (rest.get(..keyword.len())?, rest.get(keyword.len()..)?);
    let inner = tail.trim_start().strip_prefix('<')?.split_once('>')?.0;
    head.eq_ignore_ascii_case(keyword).then(|| inner.to_owned())
}

fn read(message: &[u8], from: String, to: Vec<String>) -> Heard {
    let parsed = MessageParser::default().parse(message);
    let subject = parsed.as_ref().and_then(|m| m.subject()).unwrap_or_default().to_owned();
    let body = parsed.as_ref().and_then(|m| m.body_text(0)).unwrap_or_default().into_owned();
    Heard::Email { to, from, subject, body }
}
