//! Operators who come from an identity provider: known by the provider's own, unchanging account, not by a name that
//! somebody else may have tomorrow.

use serde_json::json;

use super::operator::{OperatorName, read};
use super::operators::{BY_NAME, INSERT, SET_ROLE, admins, operator_columns, record};
use super::sql::{Session, Statement, binds, hex};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::id::OperatorId;
use crate::incident::{Actor, EventKind};
use crate::operator::Role;

/// Who came, as the provider says.
#[derive(Clone, Debug)]
pub struct ProviderAccount {
    /// SHA-256 of the provider's issuer and its subject.
    pub sha256: [u8; 32],
    pub name: OperatorName,
    /// The role that the provider's groups give; none if roles are not the provider's to give. With a role, an operator
    /// who is not there yet is made.
    pub role: Option<Role>,
}

/// What became of somebody who came from a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromProvider {
    Disabled,
    Known(OperatorId),
    /// Their groups take the last admin's role away.
    LastAdmin,
    /// An operator of this name belongs to another account.
    NameTaken,
    Unknown,
}

static BY_ACCOUNT: Statement = Statement::new(concat!(
    "-- providers.by_account
     SELECT ",
    operator_columns!(),
    "
     FROM operators
     WHERE provider_account = $1
     {lock}"
));

static BIND: Statement = Statement::new(
    "-- providers.bind
     UPDATE operators
     SET provider_account = $2
     WHERE id = $1
       AND provider_account IS NULL",
);

impl Store {
    /// Finds the operator of an account, binds one who was added by name before, or makes one whose groups give a role.
    pub async fn operator_from_provider(&self, account: ProviderAccount) -> Result<FromProvider, Error> {
        self.write((account, self.clock.now()), |session, (account, now)| Box::pin(find(session, account, *now))).await
    }
}

async fn find(session: &mut Session, account: &ProviderAccount, now: Timestamp) -> Result<FromProvider, Error> {
    let admins = admins(session).await?;
    let (key, name) = (hex(&account.sha256), account.name.as_str());
    let operator = match session.optional(&BY_ACCOUNT, binds![key.as_str()]).await? {
        Some(row) => read(&row)?,
        None => match (session.optional(&BY_NAME, binds![name]).await?, account.role) {
            (Some(row), _) => {
                let operator = read(&row)?;
                if session.run(&BIND, binds![operator.id, key.as_str()]).await? == 0 {
                    return Ok(FromProvider::NameTaken);
                }
                operator
            }
            (None, Some(role)) => return add(session, account, role, now).await,
            (None, None) => return Ok(FromProvider::Unknown),
        },
    };
    if operator.disabled_at.is_some() {
        return Ok(FromProvider::Disabled);
    }
    if let Some(role) = account.role.filter(|role| *role != operator.role) {
        if role != Role::Admin && admins == [operator.id] {
            return Ok(FromProvider::LastAdmin);
        }
        session.run(&SET_ROLE, binds![operator.id, role.word()]).await?;
        let detail = json!({
            "operator": operator.name.as_str(), "role": role.word(), "role_before": operator.role.word(),
            "by": "identity provider",
        });
        record(session, &operator.actor(), EventKind::OperatorRoleChanged, detail, now).await?;
    }
    Ok(FromProvider::Known(operator.id))
}

async fn add(
    session: &mut Session,
    account: &ProviderAccount,
    role: Role,
    now: Timestamp,
) -> Result<FromProvider, Error> {
    let (id, name) = (OperatorId::generate(now), account.name.as_str());
    session.run(&INSERT, binds![id, name, role.word(), None::<String>, now, None::<Timestamp>]).await?;
    session.run(&BIND, binds![id, hex(&account.sha256)]).await?;
    let detail = json!({ "operator": name, "role": role.word(), "by": "identity provider" });
    record(session, &Actor::Operator(name.to_owned()), EventKind::OperatorAdded, detail, now).await?;
    Ok(FromProvider::Known(id))
}
