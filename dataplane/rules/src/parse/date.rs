//! Points in time as rules write them: `2008`, `2008-05`, `2008-05-01`, and an hour, minute and second
//! behind a blank or a `T`; in UTC.

/// Seconds since 1970.
pub(crate) fn seconds(value: &str) -> Result<i64, String> {
    let value = value.trim();
    read(value).ok_or_else(|| {
        format!(
            "`{}` is not a date as 2008-05-01 or 2008-05-01T13:40:00",
            super::text::shown(value)
        )
    })
}

fn read(value: &str) -> Option<i64> {
    let (date, time) = match value.split_once([' ', 'T']) {
        Some((date, time)) => (date, Some(time)),
        None => (value, None),
    };
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4, 1970, 9999)?;
    let month = parts.next().map_or(Some(1), |text| number(text, 2, 1, 12))?;
    let day = parts.next();
    let day_number = day.map_or(Some(1), |text| number(text, 2, 1, days_in(year, month)))?;
    if parts.next().is_some() || time.is_some() && day.is_none() {
        return None;
    }
    let mut seconds = 0;
    if let Some(time) = time {
        let mut parts = time.split(':');
        seconds = number(parts.next()?, 2, 0, 23)? * 3600;
        seconds += parts.next().map_or(Some(0), |text| number(text, 2, 0, 59))? * 60;
        seconds += parts.next().map_or(Some(0), |text| number(text, 2, 0, 60))?;
        if parts.next().is_some() {
            return None;
        }
    }
    Some(days(year, month, day_number) * 86_400 + seconds)
}

fn number(text: &str, most: usize, low: i64, high: i64) -> Option<i64> {
    let digits = !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits)?;
    (low..=high).contains(&number).then_some(number)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 on.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leaps = before / 4 - before / 100 + before / 400 - 477;
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    (year - 1970) * 365 + leaps + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_seconds() {
        assert_eq!(seconds("1970"), Ok(0));
        assert_eq!(seconds("2008-05"), Ok(1_209_600_000));
        assert_eq!(seconds("2000-02-29"), Ok(951_782_400));
        assert_eq!(seconds("2023-11-14T22:13:20"), Ok(1_700_000_000));
        assert_eq!(seconds(" 2023-11-14 22:13 "), Ok(1_699_999_980));
        assert_eq!(seconds("2023-11-14T22"), Ok(1_699_999_200));
        assert_eq!(seconds("2100-03-01"), Ok(4_107_542_400));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "20", "2008-13", "2008-02-30", "2008-05 10", "2008-05-01T25", "x", "1969"]
        {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
