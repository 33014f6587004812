//! What a request shows of those on whose behalf its principal acts.

use cedar_policy::EntityUid;

use super::grant::{Covers, Grant};
use crate::engine::authorize::Now;
use crate::engine::catalog::Catalog;
use crate::engine::datum::Reference;
use crate::engine::decision::GrantName;
use crate::engine::guard::MAX_CHAIN;
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::engine::subject::{Subject, TokenGrant};
use crate::engine::validity::Validity;

/// Delegations and a verified token. Nothing of it has been held against what is stored.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Names of delegations, the leaf last.
    pub delegations: Vec<EntityUid>,
    /// What a token says.
    pub token: Option<ShownToken>,
}

/// Whom a verified token names, and what it hands on.
#[derive(Debug, Clone)]
pub struct ShownToken {
    /// Who it was issued for.
    pub root: EntityUid,
    /// Who acts for it, the actor first.
    pub actors: Vec<EntityUid>,
    /// The grant it is from root to actor, where its issuer's profile makes it one.
    pub grant: Option<Grant<'static>>,
    /// When it expires.
    pub expires: Now,
}

impl Shown {
    /// What a request shows.
    ///
    /// # Errors
    /// [`InvalidRequest`] for a name that is none, or more delegations than a chain may have.
    pub fn of(catalog: &Catalog, request: &AuthzRequest) -> Result<Self, InvalidRequest> {
        let shown = &request.delegations;
        if shown.len() > MAX_CHAIN {
            let message = format!("has {} delegations; the limit is {MAX_CHAIN}", shown.len());
            return Err(InvalidRequest::field("delegations", message));
        }
        let uid = |(index, name)| catalog.uid(name, &format!("delegations[{index}]"));
        Ok(Self {
            delegations: shown.iter().enumerate().map(uid).collect::<Result<_, _>>()?,
            token: request.subject.as_deref().map(|subject| ShownToken::of(catalog, subject)).transpose()?,
        })
    }

    /// Whether it shows nothing: the principal acts by itself.
    pub fn is_empty(&self) -> bool {
        self.delegations.is_empty() && self.token.is_none()
    }

    /// The instants around `now` at which the token is one, if there is one.
    pub fn validity(&self, now: Now) -> Validity {
        match &self.token {
            Some(token) if now < token.expires => Validity::until(token.expires),
            Some(_) => Validity::unforeseen(now),
            None => Validity::ALWAYS,
        }
    }

    /// Who acts: a token's actor, where there is a token. A request may then leave the principal empty.
    ///
    /// # Errors
    /// [`InvalidRequest`] for a principal that is not the token's (C11).
    pub fn actor(&self, catalog: &Catalog, principal: &Reference) -> Result<EntityUid, InvalidRequest> {
        let Some(token) = &self.token else { return catalog.uid(principal, "principal") };
        let actor = token.actor();
        let left_empty = principal.type_name.is_empty() && principal.id.is_empty();
        if left_empty || catalog.uid(principal, "principal")? == *actor {
            return Ok(actor.clone());
        }
        let message = format!("is not who acts by the token, which is {actor}: leave it empty, or name that");
        Err(InvalidRequest::field("principal", message))
    }
}

impl ShownToken {
    fn of(catalog: &Catalog, subject: &Subject) -> Result<Self, InvalidRequest> {
        let uids = |names: &[Reference]| -> Result<Vec<_>, InvalidRequest> {
            names.iter().map(|name| catalog.uid(name, "credentials")).collect()
        };
        let root = catalog.uid(&subject.root, "credentials")?;
        let actors = uids(&subject.actors)?;
        let grant = match (&subject.grant, actors.first()) {
            (Some(TokenGrant { actions, scopes, purpose }), Some(actor)) => Some(Grant {
                name: GrantName::Token(subject.digest.as_str().into()),
                from: Some(root.clone()),
                to: actor.clone(),
                parent: None,
                // Whoever verified the token has seen that it holds already.
                not_before: Now(i64::MIN),
                expires: subject.expires,
                max_depth: 0,
                purpose: purpose.into(),
                covers: Covers::Token { actions: uids(actions)?, scopes: uids(scopes)? },
            }),
            _ => None,
        };
        Ok(Self { root, actors, grant, expires: subject.expires })
    }

    /// Who acts: the outermost actor, or the root itself.
    pub fn actor(&self) -> &EntityUid {
        self.actors.first().unwrap_or(&self.root)
    }
}
