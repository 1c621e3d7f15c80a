//! Email, by a mail server: text and the same as HTML, encrypted on the way to that server.
//!
//! ```toml
//! settings = { server = "smtp.example", user = "evidenced", password = { env = "SMTP_PASSWORD" }, from = "evidenced@acme.example", to = ["security@acme.example"] }
//! ```
//!
//! `tls` is `"starttls"` (port 587), which is never gone without, `"tls"` from the first byte on (port 465), or `"none"`
//! (port 25), which has to be said. A repetition has the same `Message-ID`, by which mail programs drop it; all messages about
//! an alert refer to one id, by which they show them together.

use async_trait::async_trait;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use lettre::transport::smtp::{AsyncSmtpTransport, Error};
use lettre::{AsyncTransport as _, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use evidenced_collector_api::{SettingsError, checked_setting};

use super::http::RootCertificates;
use super::{Again, Channel, SendError, Sent, contradiction, line, secret};
use crate::alert::message::Message;
use crate::clock::SharedClock;
use crate::config;
use crate::secret::{SecretRef, SecretSources};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The mail server's name, which its certificate is for.
    server: Server,
    /// If it is not the usual one.
    port: Option<u16>,
    /// How it is encrypted.
    #[serde(default)]
    tls: Encryption,
    /// Who signs in, with `password`; nobody, if neither is given.
    user: Option<String>,
    password: Option<SecretRef>,
    /// Whom it is from.
    from: Person,
    /// Whom it goes to.
    to: Vec<Person>,
    /// Trusted beside the machine's.
    root_certificates: Option<RootCertificates>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encryption {
    #[default]
    Starttls,
    Tls,
    None,
}

checked_setting!(
    /// A host's name or address.
    Server(String),
    |text| !text.is_empty() && text.len() <= 253 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)),
    "server is a host's name, and its port is at port: \"smtp.example\""
);

checked_setting!(
    /// An address, with or without a name before it.
    Person(String),
    |text| text.parse::<Mailbox>().is_ok() && !text.contains(char::is_control),
    "an email address is needed: \"security@acme.example\", or \"Security <security@acme.example>\""
);

struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    secrets: Vec<SecretString>,
}

/// From the first byte to the last one: mail servers let strangers wait.
const WHOLE: Duration = Duration::from_secs(30);

/// As much of a title as a list of mails shows.
const SUBJECT: usize = 200;

pub(super) fn build(
    settings: &config::Settings,
    secrets: &SecretSources<'_>,
    _: &SharedClock,
) -> Result<Box<dyn Channel>, SettingsError> {
    let settings: Settings = settings.read()?;
    let person = |person: &Person| {
        let parsed = person.0.parse::<Mailbox>();
        parsed.map_err(|_| contradiction("from, or one of to, is not an email address", "write one"))
    };
    let from = person(&settings.from)?;
    let to: Vec<Mailbox> = settings.to.iter().map(person).collect::<Result<_, _>>()?;
    if to.is_empty() {
        return Err(contradiction(
            "to is empty, so nobody would be told",
            "name somebody: to = [\"security@acme.example\"]",
        ));
    }
    let tls = encryption(&settings)?;
    let port = settings.port.unwrap_or(match settings.tls {
        Encryption::Starttls => 587,
        Encryption::Tls => 465,
        Encryption::None => 25,
    });
    let mut hidden = Vec::new();
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.server.0.as_str())
        .port(port)
        .tls(tls)
        .hello_name(ClientId::Domain(domain(&from)))
        .timeout(Some(Duration::from_secs(10)));
    match (settings.user, &settings.password) {
        (None, None) => {}
        (Some(user), Some(password)) => {
            if settings.tls == Encryption::None && !is_local(&settings.server.0) {
                return Err(contradiction(
                    "tls is \"none\", and all on the way could read the password",
                    "use \"starttls\" or \"tls\", or leave user and password out",
                ));
            }
            let password = secret("password", password, secrets)?;
            builder = builder.credentials(Credentials::new(user, password.expose_secret().to_owned()));
            hidden.push(password);
        }
        _ => {
            return Err(contradiction(
                "user and password go together",
                "give both, or neither where the server asks for none",
            ));
        }
    }
    Ok(Box::new(Email {
        transport: builder.build(),
        from,
        to,
        secrets: hidden,
    }))
}

fn encryption(settings: &Settings) -> Result<Tls, SettingsError> {
    if settings.tls == Encryption::None {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(settings.server.0.clone());
    if let Some(file) = &settings.root_certificates {
        let certificate = Certificate::from_pem(&file.read()?);
        let certificate = certificate.map_err(|_| file.wrong("holds no certificates"))?;
        parameters = parameters.add_root_certificate(certificate);
    }
    let parameters = parameters.build().map_err(|_| {
        contradiction(
            "no encrypted connection can be made to this server",
            "server is a host's name; root_certificates, if given, a file of certificates in PEM",
        )
    })?;
    Ok(match settings.tls {
        Encryption::Tls => Tls::Wrapper(parameters),
        _ => Tls::Required(parameters),
    })
}

fn is_local(server: &str) -> bool {
    server == "localhost"
        || server
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[async_trait]
impl Channel for Email {
    async fn send(&self, message: &Message, _: Option<&str>) -> Result<Sent, SendError> {
        let mail = self.mail(message)?;
        let sending = async {
            match self.hand_over(&mail, &self.to).await {
                // One address that is no more must not keep the message from the others.
                Err(error) if error.again == Again::Never && self.to.len() > 1 => {
                    self.hand_over_singly(&mail, error).await
                }
                handed => handed,
            }
        };
        let handed = tokio::time::timeout(WHOLE, sending).await;
        handed.unwrap_or_else(|_| {
            Err(SendError {
                what: "no answer in time".to_owned(),
                again: Again::Later,
            })
        })
    }
}

impl Email {
    fn mail(&self, message: &Message) -> Result<lettre::Message, SendError> {
        let domain = domain(&self.from);
        let thread = id("alert", &message.alert, &domain);
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .subject(line::cut(&line::one(&message.title), SUBJECT))
            .date(SystemTime::from(message.at))
            .message_id(Some(id("message", &message.key, &domain)))
            .in_reply_to(thread.clone())
            .references(thread)
            // So that nothing answers it by itself.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for person in &self.to {
            mail = mail.to(person.clone());
        }
        let body = MultiPart::alternative_plain_html(message.text.clone(), message.html.clone());
        mail.multipart(body).map_err(|_| SendError {
            what: "no mail can be made of this message".to_owned(),
            again: Again::Never,
        })
    }

    async fn hand_over(&self, mail: &lettre::Message, to: &[Mailbox]) -> Result<Sent, SendError> {
        let wrong = |_| SendError {
            what: "no envelope can be made for these addresses".to_owned(),
            again: Again::Never,
        };
        let addresses = to.iter().map(|person| person.email.clone()).collect();
        let envelope =
            lettre::address::Envelope::new(Some(self.from.email.clone()), addresses).map_err(wrong)?;
        let response = self.transport.send_raw(&envelope, &mail.formatted()).await;
        match response {
            Ok(response) => Ok(Sent {
                answer: line::answer(&said(&response), &self.secrets),
                reference: None,
            }),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// One by one, as far as the server takes them. A recipient who gets the same mail twice sees it once.
    async fn hand_over_singly(&self, mail: &lettre::Message, first: SendError) -> Result<Sent, SendError> {
        let (mut taken, mut error) = (None, first);
        let mut refused = 0;
        for person in &self.to {
            match self.hand_over(mail, std::slice::from_ref(person)).await {
                Ok(sent) => taken = Some(sent),
                Err(again) if again.again == Again::Never => {
                    refused += 1;
                    error = again;
                }
                // The others get it with the next attempt, those that have it see it once.
                Err(again) => return Err(again),
            }
        }
        let Some(sent) = taken else { return Err(error) };
        let answer = format!(
            "{refused} of {} refused: {}; {}",
            self.to.len(),
            error.what,
            sent.answer
        );
        Ok(Sent {
            answer: line::answer(&answer, &self.secrets),
            reference: None,
        })
    }

    fn failed(&self, error: &Error) -> SendError {
        // A server without encryption, or with a certificate that nobody signed, may be another than tomorrow's.
        let again = if error.is_permanent() {
            Again::Never
        } else {
            Again::Later
        };
        SendError {
            what: line::answer(&error.to_string(), &self.secrets),
            again,
        }
    }
}

fn said(response: &Response) -> String {
    let lines: Vec<_> = response.message().collect();
    format!("{} {}", response.code(), lines.join(" "))
}

/// What is behind the address's at sign, where it can stand in a header as it is.
fn domain(from: &Mailbox) -> String {
    let domain = from.email.domain();
    let plain = domain
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    if plain {
        domain.to_owned()
    } else {
        "evidenced.invalid".to_owned()
    }
}

/// An id in a mail's header, always the same for one name.
fn id(kind: &str, name: &str, domain: &str) -> String {
    let digest = hex::encode(Sha256::digest(format!("{kind} {name}").as_bytes()));
    format!("<{}@{domain}>", &digest[..32])
}

#[cfg(test)]
mod tests {
    use super::super::tests::message;
    use super::*;
    use crate::alert::message::Phase;

    fn email() -> Email {
        Email {
            transport: AsyncSmtpTransport::<Tokio1Executor>::unencrypted_localhost(),
            from: "Evidenced <evidenced@acme.example>".parse().unwrap(),
            to: vec!["a@acme.example".parse().unwrap()],
            secrets: Vec::new(),
        }
    }

    fn header(mail: &lettre::Message, name: &str) -> String {
        let mail = String::from_utf8(mail.formatted()).unwrap().replace("\r\n ", " ");
        let line = mail
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name}: {mail}")).to_owned()
    }

    #[test]
    fn a_repetition_has_the_same_id_and_messages_about_an_alert_refer_to_one() {
        let opened = message();
        let closed = Message {
            phase: Phase::Closed,
            key: "another".to_owned(),
            ..message()
        };
        let mail = |message| email().mail(message).unwrap();
        let id = |message| header(&mail(message), "Message-ID");
        assert_eq!(id(&opened), id(&opened));
        assert_ne!(id(&opened), id(&closed));
        assert!(id(&opened).ends_with("@acme.example>"));
        for name in ["In-Reply-To", "References"] {
            let thread = |message| header(&mail(message), name);
            assert_eq!(thread(&opened), thread(&closed));
            assert_ne!(thread(&opened), id(&opened));
        }
        assert_eq!(header(&mail(&opened), "Date"), "Sun, 22 Nov 2026 12:00:00 +0000");
        assert_eq!(header(&mail(&opened), "Auto-Submitted"), "auto-generated");
    }

    #[test]
    fn a_title_can_add_no_header() {
        let mut tricky = message();
        tricky.title = "a\r\nBcc: eve@example.org\r\n\r\nbody ä".to_owned();
        let mail = String::from_utf8(email().mail(&tricky).unwrap().formatted()).unwrap();
        assert!(!mail.to_lowercase().contains("\nbcc:"), "{mail}");
    }
}
