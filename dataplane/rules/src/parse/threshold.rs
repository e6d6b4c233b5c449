//! `threshold` and `detection_filter` (docs.suricata.io, "Thresholding Keywords").

use super::draft::Draft;
use super::number::decimal;
use super::options::Value;
use super::text::{fields, shown, text, word_and_rest};
use crate::signature::{DetectionFilter, Threshold, ThresholdKind, Track};

/// What both keywords are made of.
#[derive(Default)]
struct Parts {
    kind: Option<ThresholdKind>,
    track: Option<Track>,
    count: Option<u32>,
    seconds: Option<u32>,
}

fn parts(value: &str) -> Result<Parts, String> {
    let mut parts = Parts::default();
    for field in fields(value) {
        let (name, argument) = word_and_rest(field);
        let number = || -> Result<u32, String> {
            Ok(u32::try_from(decimal(argument, u64::from(u32::MAX))?).unwrap_or(u32::MAX))
        };
        let twice = match name {
            "type" => parts.kind.replace(kind(argument)?).is_some(),
            "track" => parts.track.replace(track(argument)?).is_some(),
            "count" => parts.count.replace(number()?).is_some(),
            "seconds" => parts.seconds.replace(number()?).is_some(),
            _ => return Err(format!("`{}` is not known", shown(name))),
        };
        if twice {
            return Err(format!("{name} stands there twice"));
        }
    }
    Ok(parts)
}

/// A threshold's type.
pub(crate) fn kind(word: &str) -> Result<ThresholdKind, String> {
    Ok(match word {
        "limit" => ThresholdKind::Limit,
        "threshold" => ThresholdKind::Threshold,
        "both" => ThresholdKind::Both,
        "backoff" => return Err("type `backoff` is not carried out".to_owned()),
        _ => return Err(format!("type `{}` is not known", shown(word))),
    })
}

/// Who is counted.
pub(crate) fn track(word: &str) -> Result<Track, String> {
    Ok(match word {
        "by_src" => Track::Source,
        "by_dst" => Track::Destination,
        "by_both" => Track::Both,
        "by_rule" => Track::Rule,
        "by_flow" => Track::Flow,
        _ => return Err(format!("track `{}` is not known", shown(word))),
    })
}

/// `threshold`
pub(crate) fn threshold(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    alone(draft)?;
    let Parts { kind: Some(kind), track: Some(track), count: Some(count), seconds: Some(seconds) } =
        parts(&text(value.bytes))?
    else {
        return Err("threshold takes type, track, count and seconds".to_owned());
    };
    draft.threshold = Some(Threshold { kind, track, count, seconds });
    Ok(())
}

/// `detection_filter`
pub(crate) fn detection_filter(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    alone(draft)?;
    let Parts { kind: None, track: Some(track), count: Some(count), seconds: Some(seconds) } =
        parts(&text(value.bytes))?
    else {
        return Err("detection_filter takes track, count and seconds".to_owned());
    };
    if count == 0 || seconds == 0 {
        return Err("count and seconds must be above 0".to_owned());
    }
    draft.detection_filter = Some(DetectionFilter { track, count, seconds });
    Ok(())
}

fn alone(draft: &Draft<'_, '_>) -> Result<(), String> {
    if draft.threshold.is_some() || draft.detection_filter.is_some() {
        return Err("a rule has one of threshold and detection_filter, once".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_any_order() {
        let parts = parts("seconds 60 ,track by_src, type both,count 5").expect("parts");
        assert_eq!(parts.kind, Some(ThresholdKind::Both));
        assert_eq!(parts.track, Some(Track::Source));
        assert_eq!((parts.count, parts.seconds), (Some(5), Some(60)));
    }

    #[test]
    fn what_is_unknown_or_twice_is_refused() {
        for text in [
            "type limit, type limit",
            "type Limit",
            "type backoff",
            "track by_foo",
            "count -1",
            "count 4294967296",
            "seconds 1m",
            "type limit track by_src",
            "",
            "foo 1",
        ] {
            assert!(parts(text).is_err(), "{text}");
        }
    }
}
