//! Fire drills: does a leaked token die here, today, and how fast?
//!
//! A token of the built-in issuer is made to be reported. The report is signed and goes through the same door over HTTP
//! as everybody's; from then on nothing is helped along, only watched, until the token is dead, its owner mailed, and
//! its next use refused. Where tokens are issued elsewhere there is none to make; then a drill proves the door and the
//! mail. Nothing of a drill waits for a person afterwards: what went wrong is told in the drill, and its token dies.

mod door;
mod run;
mod signer;

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use door::Door;
use run::Run;
pub use signer::{KEY_ID, Signer, Unsignable};

use crate::clock::Clock;
use crate::incident::drill::{Drill, Reach};
use crate::incident::{Actor, EmailAddress};
use crate::mint::Mint;
use crate::notice::Mailer;
use crate::store::{self, Store};

/// Makes drills. One for a process.
pub struct Drills {
    parts: Parts,
    signer: Signer,
    door: Door,
}

/// What a drill is made with.
pub struct Parts {
    pub store: Store,
    pub clock: Clock,
    /// Makes the token; none if all tokens are issued elsewhere.
    pub mint: Option<Mint>,
    pub mailer: Arc<Mailer>,
    /// Where the service is reached, without a path: `http://127.0.0.1:8080`.
    pub to: reqwest::Url,
    /// Whom the token belongs to, so who is mailed, unless a drill says otherwise; none if nobody is known.
    pub address: Option<EmailAddress>,
}

/// Why no drill was begun.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    #[error("no address is known that the drill's mail may go to")]
    NoAddress,
    #[error("this process makes no drills")]
    Nowhere,
    #[error("another drill is running")]
    Running,
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Drills could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    #[error("no client for drills can be made")]
    Client(#[source] reqwest::Error),
    #[error(transparent)]
    Key(#[from] Unsignable),
}

/// A drill that began.
pub struct Begun {
    pub drill: Drill,
    actor: Actor,
    address: EmailAddress,
}

/// Longest time from the report to the end.
pub const FOLLOWED_FOR: Duration = Duration::from_secs(90);
/// How long a token lives whose drill was forgotten by everybody.
const TOKEN_LIVES: Duration = Duration::from_hours(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Drills {
    /// # Errors
    /// When the installation's key for drills cannot be had.
    pub fn new(parts: Parts) -> Result<Self, SetUpError> {
        let signer = Signer::of(&parts.store)?;
        let door = Door::new(parts.to.clone()).map_err(SetUpError::Client)?;
        Ok(Self { parts, signer, door })
    }

    /// How much a drill can prove here.
    pub fn reach(&self) -> Reach {
        if self.parts.mint.is_some() { Reach::Whole } else { Reach::IntakeAndMail }
    }

    /// Stores that a drill begins. The mail goes to `address`, or to the one of the configuration.
    ///
    /// # Errors
    /// When another one runs, or nobody can be mailed.
    pub async fn begin(&self, actor: Actor, address: Option<EmailAddress>) -> Result<Begun, NotBegun> {
        let address = address.or_else(|| self.parts.address.clone()).ok_or(NotBegun::NoAddress)?;
        let drill = Drill::new(actor.text(), self.reach(), self.parts.clock.now());
        if !self.parts.store.begin_drill(&drill).await? {
            return Err(NotBegun::Running);
        }
        info!(drill.id = %drill.id, "fire drill {} begins", drill.id);
        Ok(Begun { drill, actor, address })
    }

    /// Makes the drill that began, to its end. `told` hears of each change.
    pub async fn run(&self, begun: Begun, told: impl Fn(&Drill) + Send + Sync) -> Drill {
        let Begun { drill, actor, address } = begun;
        let mut run = Run { drills: self, drill, actor, told };
        match run.drill.reach {
            Reach::IntakeAndMail => run.door_and_mail(&address).await,
            Reach::Whole => run.whole(address).await,
        }
        run.drill.finished_at = Some(self.parts.clock.now());
        run.save().await;
        let verdict = run.drill.verdict(self.parts.clock.now());
        info!(drill.id = %run.drill.id, verdict = verdict.word(), "fire drill {}: {verdict}", run.drill.id);
        run.drill
    }
}
