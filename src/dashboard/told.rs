//! What was done, told on the next page. Only words of ours: the address of a page can be made by anybody.

use super::text::count;

#[derive(Clone)]
pub struct Told {
    pub text: String,
    pub tone: &'static str,
}

impl Told {
    /// Reads `done` and `n` of a query.
    pub fn of_query(query: &str) -> Option<Self> {
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let number = value("n").and_then(|number| number.parse::<i64>().ok()).filter(|n| (0..1_000_000).contains(n));
        let n = number.unwrap_or(1);
        let incidents = count(n, "incident", "incidents");
        let (text, tone) = match value("done")? {
            "retried" => (format!("Retried {incidents}."), ""),
            "released" => (format!("Released {incidents}. The tokens are revoked now."), ""),
            "proposed" => (format!("Proposed the release of {incidents}. A second person approves it."), "warn"),
            "rechecked" => (format!("The issuer is asked again about {incidents}."), ""),
            "branch" => ("The leaked copy is dead. The token it was made of lives on.".into(), ""),
            "withdrawn" => ("The release is withdrawn. The tokens stay held.".into(), "warn"),
            "dismissed" => (format!("Dismissed {incidents}. The tokens stay as alive as they were."), ""),
            "nothing" => ("Nothing was changed: somebody was faster, or nothing matched.".into(), "warn"),
            "resent" => ("The mail is on its way again.".into(), ""),
            "paused" => ("Paused. Reports are taken in and wait; none is lost.".into(), "warn"),
            "resumed" => ("Resumed. What waited is worked on now.".into(), ""),
            "revoked" => ("The token is revoked.".into(), ""),
            "restricted" => ("The token is restricted.".into(), ""),
            "role" => ("The role is changed.".into(), ""),
            "disabled" => ("Disabled. All sessions of that operator are over.".into(), ""),
            "enabled" => ("Enabled again.".into(), ""),
            "last_admin" => ("Not done: nobody would be left who can let others in.".into(), "bad"),
            "unchanged" => ("Nothing was changed.".into(), "warn"),
            _ => return None,
        };
        Some(Self { text, tone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_words_are_told() {
        let told = |query| Told::of_query(query).map(|told| told.text);
        assert_eq!(told("state=stuck&done=retried&n=3"), Some("Retried 3 incidents.".into()));
        assert_eq!(told("done=retried&n=<b>"), Some("Retried 1 incident.".into()));
        assert_eq!(told("done=you+won"), None);
        assert_eq!(told("n=3"), None);
    }
}
