//! Pictures of an ordinary day for the README, made again by `STANCH_PICTURES=1 cargo test --test dashboard gallery`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use crate::browser::{Browser, Driver, Look, Script};
use crate::house::{House, picture};
use crate::process::{PATIENCE, acme_token, record, within};

const LOOK: Look = Look { width: 1180, height: 760, dark: false };
const MOST_BYTES: u64 = 150 * 1_024;

const TOKENS: &[(&str, &str)] = &[
    ("ci upload", "Grace Okafor"),
    ("release bot", "Jonas Lindqvist"),
    ("nightly builds", "Mei Tanaka"),
    ("deploy staging", "Priya Raman"),
    ("docs publisher", "Tomás Herrera"),
    ("laptop", "Lena Vogel"),
];

/// Eight days of figures as an ordinary installation has them: more by day, slower when there is more.
fn figures(now: i64) -> String {
    let (hour, mut rows) = (3_600_000, String::new());
    for back in 0..8 * 24_i64 {
        let at = (now / hour - back) * hour;
        let busy = ((at / hour + 6) % 24 - 12).abs();
        let tokens = 2 + (12 - busy) / 2 + (at / hour * 7) % 3;
        let slow = (12 - busy) / 5 + (at / hour * 5) % 3;
        let mut put = |measure: &str, bucket: i64, amount: i64| {
            let _ = write!(rows, "({at}, '{measure}', 'acme', 'github', {bucket}, {amount}),");
        };
        // Buckets are eighths of an octave: 62 is about 220 ms, 90 about 2.4 s.
        for (measure, first) in [("revoked", 62), ("notified", 80)] {
            put(measure, first + slow, tokens - 2);
            put(measure, first + slow + 7, 1);
            put(measure, first + slow + 14 + (at / hour) % 4, 1);
        }
        put("opened", 0, tokens + 1);
        put("repeated", 0, tokens / 3);
        put("closed:revoked", 0, tokens - 1);
        put("closed:not_ours", 0, 1);
        if back % 3 == 0 {
            put("closed:already_dead", 0, 1);
        }
    }
    let rows = rows.trim_end_matches(',');
    format!(
        "INSERT INTO statistics_hours (hour, measure, issuer, origin, bucket, amount) VALUES {rows} ON CONFLICT DO NOTHING"
    )
}

async fn taken(browser: &Browser<'_>, name: &str) {
    let path = picture(&format!("readme-{name}"));
    browser.picture_of_window(&path, (LOOK.width, LOOK.height)).await;
    let size = std::fs::metadata(&path).expect("it was taken").len();
    assert!(size < MOST_BYTES, "{name} is {size} bytes, too large for a README");
    if std::env::var_os("STANCH_PICTURES").is_some() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::copy(&path, folder.join(format!("{name}.png"))).expect("copied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_day_is_worth_a_picture() {
    let house = House::with("[brake]\nper_issuer = 5\n").await;
    let driver = Driver::start();
    let browser = driver.browser(LOOK, Script::On).await;
    house.set_up(&browser).await;
    let mut records = Vec::new();
    for seed in 0..12 {
        house.installation.issuer.issue(&acme_token(seed), &format!("{seed:04}"), "owner@example.org");
        let url = format!("https://github.com/example/app-{seed}/blob/main/.github/workflows/ci.yml#L{}", seed + 12);
        records.push(record(&acme_token(seed), &url));
    }
    house.installation.issuer.issue(&acme_token(40), "0040", "");
    let to = house.process.addr.expect("it listens");
    for record in [record(&acme_token(40), "https://github.com/example/tool/blob/main/.env#L3")].iter().chain(&records)
    {
        let answer = house.installation.deliver(to, std::slice::from_ref(record)).await;
        assert!(answer.expect("an answer").status.is_success());
    }
    let settled = "SELECT count(*) FROM incidents WHERE state IN ('closed', 'held', 'stuck')";
    assert!(within(PATIENCE, async || house.installation.db.number(settled).await == 13).await, "all is settled");
    for (index, incident) in house.installation.incidents().iter().enumerate() {
        let (name, owner) = TOKENS[index % TOKENS.len()];
        let token = json!({
            "id": format!("tok_{:06}", 412_907 - index * 1_271), "name": name, "scopes": ["upload"], "created_at": null,
            "last_used_at": null, "expires_at": null, "owner": { "id": "1", "name": owner, "email": "owner@example.org" },
        });
        let id = incident["id"].as_str().expect("an id");
        house.installation.db.run(&format!("UPDATE incidents SET token = '{token}' WHERE id = '{id}'")).await;
    }
    let now = stanch::clock::Clock::system().now().as_millis();
    house.installation.db.run(&figures(now)).await;

    browser.open(&format!("{}/dashboard", house.base)).await;
    let told = browser.text("main").await;
    assert!(told.contains("Held by the brake") && told.contains("Owners who could not be told"), "{told}");
    taken(&browser, "needs-a-human").await;
    let closed = house.incident_in("closed");
    browser.open(&format!("{}/dashboard/incidents/{closed}", house.base)).await;
    assert!(browser.text("main").await.contains("Revoked, and read back"));
    taken(&browser, "incident").await;
    browser.open(&format!("{}/dashboard/times", house.base)).await;
    assert!(browser.text("main").await.contains("From received to revoked"));
    taken(&browser, "response-times").await;
}
