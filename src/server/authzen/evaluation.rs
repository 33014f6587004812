//! One question ("Access Evaluation API").

use serde_json::Value;

use super::arrival::Arrived;
use super::model::{self, Deed, Members, Party, Read};
use super::{Settings, answer};
use crate::engine::asserted::Properties;
use crate::engine::datum::Reference;
use crate::engine::request::AuthzRequest;
use crate::pdp::{Asked, Refused};

/// Decides the question that a body asks.
pub(super) async fn answer(mut arrived: Arrived) -> Result<Value, Refused> {
    let body = std::mem::take(&mut arrived.body);
    let asked = asked(&arrived.door.settings, body);
    let asked = asked.map(|asked| Asked { credentials: arrived.credentials.take(), ..arrived.asked(asked) });
    let answer = arrived.door.pdp.authorize(&arrived.call, asked).await?;
    Ok(answer::decision(&answer))
}

/// The question that members ask.
pub(super) fn asked(settings: &Settings, mut members: Members) -> Read<Asked> {
    let subject = model::party(model::required(&mut members, "subject")?, "subject")?;
    let action = model::deed(model::required(&mut members, "action")?)?;
    let resource = model::party(model::required(&mut members, "resource")?, "resource")?;
    let context = model::context(&mut members)?;
    question(settings, subject, action, resource, context)
}

/// A tool call's arguments stand in `action.properties.arguments`, the subject's delegations in
/// `subject.properties.delegations`; every other property is asserted.
pub(super) fn question(
    settings: &Settings,
    mut subject: Party,
    mut action: Deed,
    resource: Party,
    context: Members,
) -> Read<Asked> {
    let names = &settings.names;
    let mut question = AuthzRequest::new(
        Reference::new(names.subject_type(&subject.type_name), subject.id),
        names.action(&action.name),
        Reference::new(names.resource_type(&resource.type_name), resource.id),
    );
    question.arguments = model::take(&mut action.properties, "arguments");
    question.delegations = model::delegations(model::take(&mut subject.properties, "delegations"))?;
    question.context = context;
    let properties = Properties {
        subject: subject.properties,
        action: action.properties,
        resource: resource.properties,
        undeclared: settings.undeclared,
    };
    Ok(Asked { properties: Some(Box::new(properties)), ..Asked::from(question) })
}
