//! A notice to send.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use stanch::clock::Timestamp;
use stanch::id::{DeliveryId, IncidentId, NoticeId, OccurrenceId};
use stanch::incident::{EmailAddress, Incident, IssuedToken, Occurrence, Place, State};
use stanch::notice::{Content, Mailer, SendError, Settings, SmtpEncryption, SmtpSettings, Transport};
use stanch::token::{Confidence, Fingerprint, KindId, Secret};

use crate::smtp::SmtpServer;

pub const NOW: i64 = 1_795_395_604_123;

pub fn settings(transport: Transport) -> Settings {
    Settings {
        transport,
        from: "Example Registry <no-reply@registry.example>".into(),
        product: "Example Registry".into(),
        contact: "security@registry.example".into(),
        message_id_domain: None,
        tokens_url: Some("https://registry.example/me/tokens".into()),
        kind_names: BTreeMap::new(),
    }
}

/// Settings for a server that runs on this machine.
pub fn smtp(server: &SmtpServer, encryption: SmtpEncryption) -> SmtpSettings {
    SmtpSettings {
        host: "localhost".into(),
        port: server.port(),
        encryption,
        ca_file: (encryption != SmtpEncryption::None).then(|| server.ca_file()),
        username: None,
        password: None,
        pool_size: 2,
        timeout: Duration::from_secs(20),
    }
}

pub fn with_login(mut settings: SmtpSettings, user: &str, password: &str) -> SmtpSettings {
    settings.username = Some(user.into());
    settings.password = Some(Secret::new(password.as_bytes().to_vec()));
    settings
}

pub fn mailer(settings: SmtpSettings) -> Mailer {
    Mailer::new(self::settings(Transport::Smtp(settings))).expect("well formed")
}

pub fn in_directory(path: PathBuf) -> Mailer {
    Mailer::new(settings(Transport::Directory(path))).expect("a directory")
}

pub fn notice(number: u8) -> NoticeId {
    format!("ntc_01kaqnsg2v0000000000000{number:03}").parse().expect("26 letters")
}

/// Sends notice `number` to its owner.
pub async fn send(mailer: &Mailer, number: u8) -> Result<(), SendError> {
    send_to(mailer, number, "ada@example.org").await
}

pub async fn send_to(mailer: &Mailer, number: u8, to: &str) -> Result<(), SendError> {
    let now = Timestamp::from_millis(NOW);
    let incident = incident(now);
    let occurrences = [Occurrence {
        id: OccurrenceId::generate(now),
        incident_id: incident.id,
        origin: "github".into(),
        place: Some(Place {
            sent_type: "example_pat".into(),
            url: "https://github.com/ada/engine/blob/0a1b2c3d/ci.yml#L3".into(),
            source: "commit".into(),
        }),
        reports: 1,
        first_reported_at: now,
        last_reported_at: now,
    }];
    let to = EmailAddress::parse(to).expect("an address");
    let items = vec![(&incident, occurrences.as_slice())];
    mailer.send(&Content { notice_id: notice(number), to: &to, created_at: now, items }, now).await
}

fn incident(now: Timestamp) -> Incident {
    Incident {
        id: "inc_01kaqnsg2v0000000000000001".parse::<IncidentId>().expect("26 letters"),
        delivery_id: DeliveryId::generate(now),
        origin: "github".into(),
        kind: KindId::new("example-pat"),
        fingerprint: Fingerprint::from_stored("f1:00".into()),
        confidence: Confidence::Verified,
        hint: "w9Xz".into(),
        issuer: None,
        state: State::Revoked,
        verdict: Some("live"),
        token: Some(IssuedToken {
            id: "t1".into(),
            name: Some("ci-upload".into()),
            owner: None,
            created_at: None,
            last_used_at: None,
            last_used_from: None,
            expires_at: None,
            scopes: Vec::new(),
        }),
        notice_id: None,
        received_at: now,
        verified_at: Some(now),
        revoked_at: Some(now),
        notified_at: None,
        closed_at: None,
        revoke_tried: false,
        version: 3,
    }
}
