//! Numbers in logs are hidden unless someone asks to see them.

use core::fmt;

/// Shows a telephone number or address with all but its last two characters hidden.
#[derive(Clone, Copy)]
pub struct Redacted<'a>(pub &'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chars = self.0.chars().count();
        if chars <= 4 {
            return f.write_str("…");
        }
        f.write_str("…")?;
        self.0.chars().skip(chars - 2).try_for_each(|c| write!(f, "{c}"))
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_all_but_the_tail() {
        assert_eq!(Redacted("+14155550123").to_string(), "…23");
        assert_eq!(Redacted("911").to_string(), "…");
        assert_eq!(Redacted("").to_string(), "…");
    }
}
