//! `flow`, and the state that rules keep in flows: `flowbits`, `flowint`
//! (docs.suricata.io, "Flow Keywords").

use super::draft::Draft;
use super::number::decimal;
use super::options::Value;
use super::protocol::app_protocol;
use super::text::{fields, shown, text};
use crate::signature::{
    AppProtocolTest, BitOperation, FlowMatch, FlowbitSet, FlowbitTest, FlowintSet, FlowintTest,
    IntCondition, IntOperation, IntOperator, IntValue,
};

/// `flow`
pub(crate) fn flow(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes).to_ascii_lowercase();
    let mut flow = FlowMatch { present: true, ..FlowMatch::default() };
    for option in fields(&value) {
        let FlowMatch { to_server, to_client, established, not_established, stateless, .. } = flow;
        let state = established || not_established || stateless;
        let (set, clash) = match option {
            "to_server" | "from_client" => (&mut flow.to_server, to_server || to_client),
            "to_client" | "from_server" => (&mut flow.to_client, to_server || to_client),
            "established" => (&mut flow.established, state),
            "not_established" => (&mut flow.not_established, state),
            "stateless" => (&mut flow.stateless, state),
            "only_stream" => {
                let clash = flow.only_stream || flow.no_stream;
                (&mut flow.only_stream, clash)
            }
            "no_stream" => {
                let clash = flow.only_stream || flow.no_stream;
                (&mut flow.no_stream, clash)
            }
            "only_frag" => {
                let clash = flow.only_frag || flow.no_frag;
                (&mut flow.only_frag, clash)
            }
            "no_frag" => {
                let clash = flow.only_frag || flow.no_frag;
                (&mut flow.no_frag, clash)
            }
            "" => return Err("an option is empty".to_owned()),
            _ => return Err(format!("option `{}` is not known", shown(option))),
        };
        if clash {
            return Err(format!("`{option}` repeats or contradicts what stands before it"));
        }
        *set = true;
    }
    let all = &mut draft.flow;
    *all = FlowMatch {
        to_server: all.to_server || flow.to_server,
        to_client: all.to_client || flow.to_client,
        established: all.established || flow.established,
        not_established: all.not_established || flow.not_established,
        stateless: all.stateless || flow.stateless,
        only_stream: all.only_stream || flow.only_stream,
        no_stream: all.no_stream || flow.no_stream,
        only_frag: all.only_frag || flow.only_frag,
        no_frag: all.no_frag || flow.no_frag,
        present: true,
    };
    Ok(())
}

/// `flowbits`
pub(crate) fn flowbits(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let (command, name) = match value.split_once(',') {
        Some((command, name)) => (command.trim(), Some(name.trim())),
        None => (value.as_ref(), None),
    };
    if command == "noalert" {
        if name.is_some() {
            return Err("noalert takes no name".to_owned());
        }
        draft.noalert = true;
        return Ok(());
    }
    let name = name.filter(|name| !name.is_empty()).ok_or("a flowbit's name is missing");
    let operation = match command {
        "set" => BitOperation::Set,
        "unset" => BitOperation::Unset,
        "toggle" => BitOperation::Toggle,
        "isset" | "isnotset" => {
            let parts = name?.split('|').map(str::trim).filter(|part| !part.is_empty());
            let any_of = parts.map(|part| bit(draft, part)).collect::<Result<Vec<_>, _>>()?;
            if any_of.is_empty() {
                return Err("a flowbit's name is missing".to_owned());
            }
            let negated = command == "isnotset";
            draft.flowbit_tests.push(FlowbitTest { any_of, negated });
            return Ok(());
        }
        _ => return Err(format!("`{}` is not a command of flowbits", shown(command))),
    };
    let name = name?;
    if name.contains('|') {
        // Suricata loads it, and changes no bit that a rule could ask for.
        return Ok(());
    }
    let bit = bit(draft, name)?;
    draft.flowbit_sets.push(FlowbitSet { bit, operation });
    Ok(())
}

fn bit(draft: &mut Draft<'_, '_>, name: &str) -> Result<u32, String> {
    if name.contains(|c: char| c.is_ascii_whitespace()) {
        return Err("a flowbit's name has no spaces".to_owned());
    }
    Ok(draft.session.names.bit(name))
}

/// `flowint`
pub(crate) fn flowint(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut parts = fields(&value);
    let (Some(name), Some(operator)) = (parts.next(), parts.next()) else {
        return Err("flowint takes name,operator,value or name,isset or name,notset".to_owned());
    };
    let variable = int(draft, name)?;
    let asked = match operator {
        "isset" => Some(IntCondition::IsSet),
        "notset" | "isnotset" => Some(IntCondition::NotSet),
        _ => None,
    };
    if let Some(condition) = asked {
        draft.flowint_tests.push(FlowintTest { variable, condition });
        return Ok(());
    }
    let operand = parts.next().filter(|text| !text.is_empty()).ok_or("a value is missing")?;
    if parts.next().is_some() {
        return Err("there is text behind the value".to_owned());
    }
    let compared = match operator {
        "<" => Some(IntOperator::Less),
        "<=" => Some(IntOperator::LessEqual),
        "==" => Some(IntOperator::Equal),
        "!=" => Some(IntOperator::NotEqual),
        ">=" => Some(IntOperator::GreaterEqual),
        ">" => Some(IntOperator::Greater),
        _ => None,
    };
    let operation = match operator {
        "=" => Some(IntOperation::Set),
        "+" => Some(IntOperation::Add),
        "-" => Some(IntOperation::Subtract),
        _ => None,
    };
    let value = if operand.starts_with(|c: char| c.is_ascii_digit()) {
        let number = decimal(operand, u64::from(u32::MAX))?;
        IntValue::Literal(u32::try_from(number).unwrap_or(u32::MAX))
    } else {
        IntValue::Variable(int(draft, operand)?)
    };
    match (compared, operation) {
        (Some(operator), _) => {
            let condition = IntCondition::Compare(operator, value);
            draft.flowint_tests.push(FlowintTest { variable, condition });
        }
        (None, Some(operation)) => {
            draft.flowint_sets.push(FlowintSet { variable, operation, value });
        }
        (None, None) => return Err(format!("operator `{}` is not known", shown(operator))),
    }
    Ok(())
}

fn int(draft: &mut Draft<'_, '_>, name: &str) -> Result<u32, String> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')) {
        return Err(format!("`{}` is not a flowint's name", shown(name)));
    }
    Ok(draft.session.names.int(name))
}

/// `noalert`
pub(crate) fn noalert(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    draft.noalert = true;
    Ok(())
}

/// `app-layer-protocol`
pub(crate) fn app_layer_protocol(
    draft: &mut Draft<'_, '_>,
    value: &Value<'_>,
) -> Result<(), String> {
    if let Some(app) = draft.protocol.app {
        return Err(format!("the rule is bound to {app} already"));
    }
    let value = text(value.bytes);
    let (negated, word) = match value.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, value.as_ref()),
    };
    let Some(name) = app_protocol(word) else {
        return Err(format!("application protocol `{}` is not known", shown(word)));
    };
    // One without negation stands alone, so the last one tells what all are.
    if draft.app_protocol_tests.last().is_some_and(|test| !test.negated || !negated) {
        return Err("only negated app-layer-protocol may stand several times".to_owned());
    }
    draft.app_protocol_tests.push(AppProtocolTest { name, negated });
    Ok(())
}
