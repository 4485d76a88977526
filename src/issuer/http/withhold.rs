//! Withholding: an issuer's answer with the token taken out of it, for what is told of a token is stored and mailed.

use crate::incident::{IssuedToken, Unknown, Verdict};
use crate::token::Secret;

/// The verdict without the token that it is about.
///
/// An id cannot be taken out: two tokens would come to share one. A live token whose id is the token itself stays open,
/// and whoever declared `token_id` so must look.
pub(super) fn withhold(verdict: Verdict, secret: &Secret) -> Verdict {
    match verdict {
        Verdict::Live(token) if secret.is_in(&token.id) => {
            let why = "what `token_id` points to holds the token itself, which must not be stored";
            Verdict::Unknown(Unknown::Misconfigured { why: why.into() })
        }
        Verdict::Live(token) => Verdict::Live(without(token, secret)),
        Verdict::Dead(token) => {
            let token = token.filter(|token| !secret.is_in(&token.id));
            Verdict::Dead(token.map(|token| without(token, secret)))
        }
        Verdict::Forged(token) => Verdict::Forged(without(token, secret)),
        Verdict::NotOurs | Verdict::Unknown(_) => verdict,
    }
}

fn without(mut token: IssuedToken, secret: &Secret) -> IssuedToken {
    let shown = |text: String| secret.withheld_from(&text).into_owned();
    token.name = token.name.map(shown);
    token.scopes = token.scopes.into_iter().map(shown).collect();
    if let Some(owner) = &mut token.owner {
        owner.id = owner.id.take().map(shown);
        owner.name = owner.name.take().map(shown);
        owner.email = owner.email.take().filter(|email| !secret.is_in(email.as_str()));
        owner.others.retain(|email| !secret.is_in(email.as_str()));
        if owner.email.is_none() && !owner.others.is_empty() {
            owner.email = Some(owner.others.remove(0));
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::{EmailAddress, Owner};
    use crate::token::WITHHELD;

    const TOKEN: &str = "acme_0123456789";

    fn told(id: &str) -> IssuedToken {
        let email = EmailAddress::parse("ada@example.org").ok();
        IssuedToken {
            id: id.into(),
            name: Some(format!("ci {TOKEN}")),
            owner: Some(Owner { id: Some(TOKEN.into()), name: Some("Ada".into()), email, others: Vec::new() }),
            created_at: None,
            last_used_at: None,
            last_used_from: None,
            expires_at: None,
            scopes: vec!["upload".into(), TOKEN.into()],
        }
    }

    #[test]
    fn the_token_is_taken_out_of_all_that_is_told_about_it() {
        let secret = Secret::new(TOKEN.into());
        for verdict in [Verdict::Live(told("t1")), Verdict::Dead(Some(told("t1")))] {
            let (Verdict::Live(token) | Verdict::Dead(Some(token))) = withhold(verdict, &secret) else {
                panic!("still known")
            };
            assert_eq!(token.name, Some(format!("ci {WITHHELD}")));
            assert_eq!(token.scopes, ["upload", WITHHELD]);
            let owner = token.owner.expect("told");
            assert_eq!((owner.id.as_deref(), owner.name.as_deref()), (Some(WITHHELD), Some("Ada")));
            assert!(owner.email.is_some());
        }
    }

    #[test]
    fn a_token_that_is_its_own_id_is_never_stored_and_never_taken_for_dead() {
        let secret = Secret::new(TOKEN.into());
        let id = format!("v1:{TOKEN}");
        let live = withhold(Verdict::Live(told(&id)), &secret);
        assert!(matches!(live, Verdict::Unknown(Unknown::Misconfigured { .. })), "{live:?}");
        assert_eq!(withhold(Verdict::Dead(Some(told(&id))), &secret), Verdict::Dead(None));
    }
}
