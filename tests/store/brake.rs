//! The brake: exactly the budget passes, the rest is held, whoever counts and whatever dies; and a person decides.

use std::time::Duration;

use stanch::id::{IncidentId, ReleaseId};
use stanch::incident::brake::{AfterHold, Cause, Mode, Policy, ReleaseBy, Reset, Scope};
use stanch::incident::{Actor, IssuerName, State, Step, Verdict};
use stanch::store::{Change, ChangeFilter, Changed, Claim, DecisionError, Moved, Order, Selection, Settled, Store};

use crate::given::{LEASE, claim, claim_one, delivery, found_live, issued, opened};
use crate::on_both_databases;

fn policy() -> Policy {
    Policy { per_issuer: 3, all: 100, peak_factor: 0, ..Policy::default() }
}

fn order(name: &str) -> Order {
    Order { actor: Actor::Operator(name.into()), reason: Some("looked at it".into()) }
}

/// Accepts tokens that their local issuer calls live at the door.
async fn live(store: &Store, seeds: &[&str], now: stanch::clock::Timestamp) -> Vec<IncidentId> {
    let mut delivery = delivery(seeds, now);
    for (token, seed) in delivery.tokens.iter_mut().zip(seeds) {
        token.verdict = Some(Verdict::Live(issued(seed, None)));
    }
    opened(store, delivery).await
}

async fn states(store: &Store) -> (i64, i64) {
    let counts = store.incident_counts().await.expect("counts");
    let of = |state: &str| counts.iter().find(|(word, _)| word == state).map_or(0, |(_, count)| *count);
    (of("live"), of("held"))
}

fn moved_to_dead(claimed: &stanch::store::Claimed, now: stanch::clock::Timestamp) -> stanch::store::Settlement {
    crate::given::moved(claimed, now, stanch::incident::EventKind::Verified, |incident| {
        incident.judge(&Verdict::Dead(None), now).expect("open");
    })
}

fn moved(changed: Changed) -> Moved {
    match changed {
        Changed::Done(moved) => moved,
        Changed::Requested { .. } => panic!("one person is enough"),
    }
}

fn everything(limit: u32) -> Selection {
    Selection::Matching { filter: ChangeFilter::default(), limit }
}

on_both_databases! {
    async fn exactly_the_budget_passes_and_the_rest_is_held(db) {
        let store = db.open().await.with_brake(policy());
        live(&store, &["a", "b"], db.clock.now()).await;
        live(&store, &["c", "d", "e"], db.clock.now()).await;
        live(&store, &["f"], db.clock.now()).await;
        assert_eq!(states(&store).await, (3, 3));
        assert_eq!(claim(&store, 10).await.len(), 3, "what is held has no job");
        let held = store.held().await.expect("held");
        assert_eq!(held.groups.len(), 1);
        let group = &held.groups[0];
        assert_eq!((group.issuer.as_str(), group.cause, group.incidents, group.sample.len()), ("builtin", Cause::Issuer, 3, 3));
        assert_eq!(db.number("SELECT count(*) FROM secrets").await, 6, "nothing is lost: what is held is still sealed");
    }

    async fn a_verdict_of_the_worker_is_counted_in_the_transaction_that_stores_it(db) {
        let store = db.open().await.with_brake(policy());
        opened(&store, delivery(&["a", "b", "c", "d"], db.clock.now())).await;
        let mut settled = Vec::new();
        for job in claim(&store, 10).await {
            settled.push(store.settle(&job, found_live(&job, db.clock.now(), issued("t", None))).await.expect("settled"));
        }
        assert_eq!(settled.iter().filter(|it| **it == Settled::Held).count(), 1);
        assert_eq!(states(&store).await, (3, 1));
        assert_eq!(db.number("SELECT count(*) FROM jobs").await, 3);
    }

    async fn two_processes_do_not_overspend(db) {
        let budget = Policy { per_issuer: 10, ..policy() };
        let (one, two) = (db.open().await.with_brake(budget.clone()), db.open().await.with_brake(budget));
        let mut under_way = tokio::task::JoinSet::new();
        for number in 0..60 {
            let (store, now) = (if number % 2 == 0 { one.clone() } else { two.clone() }, db.clock.now());
            under_way.spawn(async move { live(&store, &[&format!("t{number}")], now).await });
        }
        under_way.join_all().await;
        assert_eq!(states(&one).await, (10, 50));
    }

    async fn a_restart_and_the_end_of_the_window_keep_the_brake_on(db) {
        let store = db.open().await.with_brake(policy());
        live(&store, &["a", "b", "c", "d"], db.clock.now()).await;
        store.close().await;
        db.clock.advance(Duration::from_mins(20));
        let store = db.open().await.with_brake(policy());
        live(&store, &["e"], db.clock.now()).await;
        assert_eq!(states(&store).await, (3, 2), "on for an hour");
        let budgets = store.budgets(&[]).await.expect("budgets");
        let on: Vec<String> = budgets.iter().filter(|it| it.on.is_some()).map(|it| it.scope.to_string()).collect();
        assert_eq!(on, ["issuer:builtin"], "shown although nothing was spent in this window");
        db.clock.advance(Duration::from_mins(41));
        live(&store, &["f"], db.clock.now()).await;
        assert_eq!(states(&store).await, (4, 2), "then with a fresh budget, and what was held stays held");
    }

    async fn a_brake_that_waits_for_a_person_is_off_once_all_is_decided(db) {
        let store = db.open().await.with_brake(Policy { reset: Reset::ByPerson, ..policy() });
        live(&store, &["a", "b", "c", "d", "e"], db.clock.now()).await;
        db.clock.advance(Duration::from_hours(20));
        live(&store, &["f"], db.clock.now()).await;
        assert_eq!(states(&store).await, (3, 3));
        let one = store.change(Change::Release, &everything(1), &order("ada")).await.expect("released");
        assert_eq!(moved(one).moved.len(), 1);
        live(&store, &["g"], db.clock.now()).await;
        assert_eq!(states(&store).await, (4, 3), "still on: not all is decided");
        let rest = store.change(Change::Dismiss, &everything(10), &order("ada")).await.expect("dismissed");
        assert_eq!(moved(rest).moved.len(), 3);
        live(&store, &["h"], db.clock.now()).await;
        assert_eq!(states(&store).await, (5, 0));
        assert_eq!(db.number("SELECT count(*) FROM events WHERE kind = 'brake_off'").await, 1);
    }

    async fn what_is_held_stays_held_when_its_issuer_is_asked_again(db) {
        let store = db.open().await.with_brake(policy());
        let held = live(&store, &["a", "b", "c", "d", "e"], db.clock.now()).await.split_off(3);
        let begun = db.clock.now();
        // The brake is off again and there is a fresh budget, which what was held must not slip through.
        db.clock.advance(Duration::from_hours(2));
        let again = store.change(Change::Recheck, &Selection::Ids(held.clone()), &order("ada")).await.expect("asked");
        assert_eq!(moved(again).moved.len(), 2);
        store.mind_holds(&Actor::Worker("host-1".into())).await.expect("minded");
        for job in claim(&store, 10).await.into_iter().filter(|job| job.step == Step::Verify) {
            let lives = job.incident.id == held[0];
            let now = db.clock.now();
            let settlement = if lives {
                found_live(&job, now, issued("d", None))
            } else {
                moved_to_dead(&job, now)
            };
            let settled = store.settle(&job, settlement).await.expect("settled");
            assert_eq!(settled, if lives { Settled::Held } else { Settled::Done });
        }
        let shown = store.held().await.expect("held");
        assert_eq!(shown.groups.iter().map(|group| group.incidents).sum::<i64>(), 1);
        assert_eq!(shown.groups[0].oldest_at, begun, "and its time goes on");
        let incident = store.incident(held[0]).await.expect("read").expect("there");
        assert!(matches!(&incident.state, State::Held { reason } if reason.contains("held as before")), "{incident:?}");
        let dead = store.incident(held[1]).await.expect("read").expect("there");
        assert_eq!(dead.state, State::Settled(stanch::incident::Outcome::AlreadyDead));
        let revoked = store.change(Change::Release, &Selection::Ids(vec![held[0]]), &order("ada")).await.expect("released");
        assert_eq!(moved(revoked).moved, [held[0]]);
    }

    async fn a_drill_spends_no_budget_and_turns_no_brake_on(db) {
        let store = db.open().await.with_brake(policy());
        for number in 0..5 {
            let mut drill = delivery(&[&format!("drill{number}")], db.clock.now());
            drill.origin = stanch::incident::drill::ORIGIN.into();
            drill.tokens[0].verdict = Some(Verdict::Live(issued("drill", None)));
            opened(&store, drill).await;
        }
        assert_eq!(states(&store).await, (5, 0));
        live(&store, &["a", "b", "c", "d"], db.clock.now()).await;
        assert_eq!(states(&store).await, (8, 1), "all of the budget is left for what leaks");
    }

    async fn what_is_dead_spends_nothing(db) {
        let store = db.open().await.with_brake(policy());
        for seed in 0..20 {
            let mut flood = delivery(&[&format!("dead{seed}")], db.clock.now());
            flood.tokens[0].verdict = Some(if seed % 2 == 0 { Verdict::Dead(None) } else { Verdict::NotOurs });
            opened(&store, flood).await;
        }
        live(&store, &["a", "b", "c"], db.clock.now()).await;
        assert_eq!(states(&store).await, (3, 0));
        let budgets = store.budgets(&[IssuerName::new("builtin")]).await.expect("budgets");
        let of_issuer = budgets.iter().find(|it| it.scope == Scope::Issuer(IssuerName::new("builtin"))).expect("there");
        assert_eq!((of_issuer.budget, of_issuer.spent, of_issuer.on), (3, 3, None));
    }

    async fn a_release_is_a_job_again_and_is_never_held_twice(db) {
        let store = db.open().await.with_brake(policy());
        live(&store, &["a", "b", "c", "d"], db.clock.now()).await;
        let held = store.held().await.expect("held").groups[0].sample.clone();
        let released = store.change(Change::Release, &Selection::Ids(held.clone()), &order("ada")).await.expect("released");
        assert_eq!(moved(released).moved, held);
        let jobs = claim(&store, 10).await;
        assert!(jobs.iter().any(|job| job.incident.id == held[0] && job.step == Step::Revoke));
        let timeline = store.timeline(held[0]).await.expect("events");
        let last = timeline.last().expect("there");
        assert_eq!((last.kind.as_str(), last.actor.as_str()), ("released", "operator:ada"));
        assert_eq!(last.detail["reason"], "looked at it");
        let again = store.change(Change::Release, &Selection::Ids(held.clone()), &order("ada")).await.expect("told");
        assert_eq!(moved(again).refused, [(held[0], "an incident that is live cannot be released".to_owned())]);
    }

    async fn where_two_people_are_wanted_one_is_not_enough(db) {
        let store = db.open().await.with_brake(Policy { release_by: ReleaseBy::TwoPersons, ..policy() });
        live(&store, &["a", "b", "c", "d", "e"], db.clock.now()).await;
        let asked = store.change(Change::Release, &everything(10), &order("ada")).await.expect("asked");
        let Changed::Requested { id, incidents: 2 } = asked else { panic!("asked for two: {asked:?}") };
        assert_eq!(states(&store).await, (3, 2));
        assert_eq!(store.preview(Change::Release, &ChangeFilter::default()).await.expect("seen").incidents, 0);
        let alone = store.approve_release(id, &order("ada")).await.expect_err("the same person");
        assert!(matches!(alone, DecisionError::SamePerson), "{alone}");
        // What is not decided in a day is over, and can be asked for again.
        db.clock.advance(Duration::from_hours(25));
        let late = store.approve_release(id, &order("bob")).await.expect_err("too late");
        assert!(matches!(late, DecisionError::Expired), "{late}");
        store.mind_holds(&Actor::Worker("w".into())).await.expect("minded");
        let asked = store.change(Change::Release, &everything(10), &order("ada")).await.expect("asked");
        let Changed::Requested { id, incidents: 2 } = asked else { panic!("asked for two: {asked:?}") };
        assert_eq!(store.held().await.expect("held").requests.len(), 1);
        let released = store.approve_release(id, &order("bob")).await.expect("approved");
        assert_eq!(released.moved.len(), 2);
        assert_eq!(states(&store).await, (5, 0));
        let unknown = store.approve_release(ReleaseId::generate(db.clock.now()), &order("bob")).await.expect_err("unknown");
        assert!(matches!(unknown, DecisionError::NotPending));
    }

    async fn an_approved_release_is_finished_by_whoever_comes_after_the_crash(db) {
        let store = db.open().await.with_brake(Policy { release_by: ReleaseBy::TwoPersons, ..policy() });
        live(&store, &["a", "b", "c", "d", "e"], db.clock.now()).await;
        let Changed::Requested { id, .. } = store.change(Change::Release, &everything(9), &order("ada")).await.expect("asked")
        else { panic!("asked") };
        // As the process leaves it that dies after the approval.
        db.run(&format!("UPDATE release_requests SET state = 'approved', decided_by = 'operator:bob' WHERE id = '{id}'")).await;
        store.mind_holds(&Actor::Worker("w".into())).await.expect("minded");
        assert_eq!(states(&store).await, (5, 0));
    }

    async fn a_hold_that_nobody_looks_at_raises_the_alarm_and_is_revoked_only_where_it_is_wanted(db) {
        let store = db.open().await.with_brake(policy());
        let worker = Actor::Worker("w".into());
        live(&store, &["a", "b", "c", "d"], db.clock.now()).await;
        assert_eq!(store.mind_holds(&worker).await.expect("minded").told, 0);
        db.clock.advance(Duration::from_hours(24));
        let overdue = store.mind_holds(&worker).await.expect("minded");
        assert_eq!((overdue.told, overdue.released), (1, 0));
        assert_eq!(store.mind_holds(&worker).await.expect("minded").told, 0, "not again at once");
        db.clock.advance(Duration::from_hours(1));
        assert_eq!(store.mind_holds(&worker).await.expect("minded").told, 1, "but every hour");
        assert_eq!(store.held().await.expect("held").groups[0].overdue, 1);
        assert_eq!(states(&store).await, (3, 1), "never silently revoked");
        let store = store.with_brake(Policy { after_hold: AfterHold::Revoke, ..policy() });
        assert_eq!(store.mind_holds(&worker).await.expect("minded").released, 1);
        assert_eq!(states(&store).await, (4, 0));
    }

    async fn a_dry_run_holds_and_is_never_revoked_by_age(db) {
        let store = db.open().await.with_brake(Policy { mode: Mode::DryRun, ..policy() });
        live(&store, &["a"], db.clock.now()).await;
        assert_eq!(states(&store).await, (0, 1));
        let store = store.with_brake(Policy { after_hold: AfterHold::Revoke, ..policy() });
        db.clock.advance(Duration::from_hours(48));
        let overdue = store.mind_holds(&Actor::Worker("w".into())).await.expect("minded");
        assert_eq!((overdue.told, overdue.released), (0, 0));
        assert_eq!(store.held().await.expect("held").groups[0].cause, Cause::DryRun);
    }

    async fn a_change_by_filter_is_previewed_and_capped(db) {
        let store = db.open().await;
        opened(&store, delivery(&["a", "b", "c"], db.clock.now())).await;
        for job in claim(&store, 10).await {
            let mut incident = job.incident.clone();
            incident.stick(Step::Verify, "the issuer refused us".into()).expect("open");
            let settlement = stanch::store::Settlement {
                incident, next_due_at: db.clock.now(), events: Vec::new(), purge_at: None,
            };
            store.settle(&job, settlement).await.expect("settled");
        }
        let filter = ChangeFilter { issuer: Some("builtin".into()), step: Some(Step::Verify), ..ChangeFilter::default() };
        let preview = store.preview(Change::Retry, &filter).await.expect("seen");
        assert_eq!((preview.incidents, preview.sample.len()), (3, 3));
        let other = ChangeFilter { step: Some(Step::Notify), ..filter.clone() };
        assert_eq!(store.preview(Change::Retry, &other).await.expect("seen").incidents, 0);
        let selection = Selection::Matching { filter: filter.clone(), limit: 2 };
        assert_eq!(moved(store.change(Change::Retry, &selection, &order("ada")).await.expect("retried")).moved.len(), 2);
        assert_eq!(store.preview(Change::Retry, &filter).await.expect("seen").incidents, 1);
        assert_eq!(claim(&store, 10).await.len(), 2);
        let nothing = store.change(Change::Retry, &Selection::Ids(Vec::new()), &order("ada")).await.expect("nothing");
        assert!(moved(nothing).moved.is_empty(), "no selection is nothing");
    }

    async fn what_is_paused_is_not_claimed(db) {
        use stanch::store::Paused;
        let store = db.open().await;
        let builtin = Paused::Issuer(IssuerName::new("builtin"));
        opened(&store, delivery(&["a"], db.clock.now())).await;
        assert!(store.pause(&builtin, &order("ada")).await.expect("paused"));
        assert!(!store.pause(&builtin, &order("bob")).await.expect("paused already"));
        assert!(claim(&store, 10).await.is_empty());
        let pauses = store.pauses().await.expect("listed");
        assert_eq!((pauses[0].what.clone(), pauses[0].actor.as_str()), (builtin.clone(), "operator:ada"));
        assert!(store.pause(&Paused::Issuer(IssuerName::new("other")), &order("ada")).await.expect("paused"));
        assert!(store.resume(&builtin, &order("bob")).await.expect("resumed"));
        let job = claim_one(&store).await;
        store.hand_back(&[(job.job_id, job.lease)]).await.expect("handed back");
        assert!(store.pause(&Paused::Everything, &order("ada")).await.expect("paused"));
        assert!(claim(&store, 10).await.is_empty());
        assert!(store.resume(&Paused::Everything, &order("ada")).await.expect("resumed"));
        assert_eq!(claim(&store, 10).await.len(), 1);
        assert_eq!(db.number("SELECT count(*) FROM events WHERE kind IN ('paused', 'resumed')").await, 5);
    }

    async fn steps_that_a_worker_leaves_out_are_left(db) {
        let store = db.open().await;
        let ids = live(&store, &["a"], db.clock.now()).await;
        let without = [Step::Revoke, Step::Notify];
        let claim = Claim { worker: "w", limit: 5, lease_for: LEASE, without_issuers: &[], without_steps: &without };
        assert!(store.claim(&claim).await.expect("claimed").is_empty());
        assert_eq!(store.incident(ids[0]).await.expect("read").expect("there").state, State::Live);
    }
}
