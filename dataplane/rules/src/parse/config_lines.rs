//! Files of lines that begin with `config`: `classification.config`, `reference.config`.

/// Gives what follows `config KEYWORD:` in each line to `take`, which answers whether it makes sense;
/// `shape` is how such a line looks, its keyword first. Empty lines and comments are passed over. Lines that say
/// something else come back with their number.
pub(super) fn read<'a>(
    text: &'a str,
    shape: &str,
    mut take: impl FnMut(&'a str) -> bool,
) -> Vec<(u32, String)> {
    let keyword = shape.split_inclusive(':').next().unwrap_or_default();
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let rest = line.strip_prefix("config").map(str::trim_start);
        if !rest.and_then(|rest| rest.strip_prefix(keyword)).is_some_and(&mut take) {
            faults.push((number, format!("not `config {shape}`")));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_keyword_are_taken_and_others_come_back_with_their_numbers() {
        let mut taken = Vec::new();
        let faults =
            read("# config a: no\n\n  config\ta: b\r\nconfig b: c\nconfig a:", "a: text", |rest| {
                taken.push(rest);
                !rest.is_empty()
            });
        assert_eq!(taken, [" b", ""]);
        let fault = "not `config a: text`".to_owned();
        assert_eq!(faults, [(4, fault.clone()), (5, fault)]);
    }
}
