//! Charts as SVG, drawn here: no script, no inline style, coloured by the page's own classes in both schemes.
//!
//! Each stands beside a table with the same figures, which is its text for those who do not see it.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::text::{grouped, measured};
use crate::clock::Timestamp;

/// One line of points: instant and milliseconds.
pub struct Line {
    /// Class of the style sheet.
    pub class: &'static str,
    pub points: Vec<(Timestamp, i64)>,
}

/// Spans over time, on a logarithmic scale: a second and an hour fit on one page.
pub struct Lines {
    drawn: Vec<Line>,
    from: i64,
    to: i64,
    slot: i64,
}

/// Numbers as bars.
pub struct Bars {
    pub rows: Vec<Bar>,
}

pub struct Bar {
    pub name: String,
    pub number: String,
    /// Of a hundred.
    pub share: String,
    /// In the units of a drawing 200 wide.
    pub width: i64,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;
const RIGHT: f64 = 14.0;

impl Lines {
    pub fn new(lines: Vec<Line>, from: Timestamp, to: Timestamp, slot: i64) -> Self {
        Self { drawn: lines, from: from.as_millis(), to: to.as_millis().max(from.as_millis() + 1), slot }
    }

    pub fn is_empty(&self) -> bool {
        self.drawn.iter().all(|line| line.points.is_empty())
    }

    /// The powers of ten around all points, in milliseconds; two at least.
    fn scale(&self) -> (i32, i32) {
        let values = || self.drawn.iter().flat_map(|line| line.points.iter().map(|(_, value)| (*value).max(1)));
        let low = values().min().unwrap_or(10).ilog10();
        let high = values().max().unwrap_or(1_000).ilog10() + 1;
        let (low, high) = (i32::try_from(low).unwrap_or(0), i32::try_from(high).unwrap_or(4));
        (low, high.max(low + 2))
    }

    #[expect(clippy::cast_precision_loss, reason = "a pixel is coarser than a double")]
    fn x(&self, at: i64) -> f64 {
        let share = (at.clamp(self.from, self.to) - self.from) as f64 / (self.to - self.from) as f64;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    #[expect(clippy::cast_precision_loss, reason = "a pixel is coarser than a double")]
    fn y(value: i64, (low, high): (i32, i32)) -> f64 {
        let share = ((value.max(1) as f64).log10() - f64::from(low)) / f64::from(high - low);
        TOP + (1.0 - share) * (HEIGHT - TOP - BOTTOM)
    }

    fn draw(&self, svg: &mut String) -> fmt::Result {
        let scale = self.scale();
        for power in scale.0..=scale.1 {
            let value = 10_i64.pow(u32::try_from(power).unwrap_or(0));
            let y = Self::y(value, scale);
            let name = measured(Duration::from_millis(value.unsigned_abs())).replace(".00", "").replace(".0", "");
            write!(svg, r#"<path class="grid" d="M{LEFT} {y:.1}H{:.1}"/>"#, WIDTH - RIGHT)?;
            write!(
                svg,
                r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="end">{name}</text>"#,
                LEFT - 8.0,
                y + 4.0
            )?;
        }
        for step in 0..=4 {
            let at = self.from + (self.to - self.from) * step / 4;
            let text = Timestamp::from_millis(at).to_string();
            let name = if self.to - self.from > 2 * 86_400_000 { text.get(5..10) } else { text.get(11..16) };
            let anchor = ["start", "middle", "middle", "middle", "end"][usize::try_from(step).unwrap_or(0)];
            let (x, name) = (self.x(at), name.unwrap_or_default());
            write!(
                svg,
                r#"<text class="axis" x="{x:.1}" y="{:.1}" text-anchor="{anchor}">{name}</text>"#,
                HEIGHT - 8.0
            )?;
        }
        for line in &self.drawn {
            let (mut path, mut before) = (String::new(), None);
            for (at, value) in &line.points {
                let at = at.as_millis();
                let (x, y) = (self.x(at + self.slot / 2), Self::y(*value, scale));
                // Where nothing was measured there is no line.
                let joined = before.is_some_and(|before| at - before <= self.slot * 3);
                write!(path, "{}{x:.1} {y:.1}", if joined { "L" } else { "M" })?;
                before = Some(at);
                if line.points.len() <= 48 && line.class == "p50" {
                    write!(svg, r#"<circle class="dot" cx="{x:.1}" cy="{y:.1}" r="2.6"/>"#)?;
                }
            }
            write!(svg, r#"<path class="{}" d="{path}"/>"#, line.class)?;
        }
        Ok(())
    }
}

/// The inner part of the drawing; every text in it is made from numbers.
impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut svg = String::with_capacity(8_192);
        self.draw(&mut svg)?;
        f.write_str(&svg)
    }
}

impl Bars {
    pub fn new(numbers: impl IntoIterator<Item = (String, i64)>) -> Self {
        let mut numbers: Vec<_> = numbers.into_iter().collect();
        numbers.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        let (most, sum) = (
            numbers.iter().map(|(_, number)| *number).max().unwrap_or(0).max(1),
            numbers.iter().map(|(_, number)| *number).sum::<i64>().max(1),
        );
        let bar = |(name, number): (String, i64)| Bar {
            name,
            number: grouped(number),
            share: format!("{} %", number * 100 / sum),
            width: (number * 200 / most).max(i64::from(number > 0)),
        };
        Self { rows: numbers.into_iter().map(bar).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_millis(hour * 3_600_000)
    }

    #[test]
    fn a_line_breaks_where_nothing_was_measured() {
        let points = vec![(at(0), 100), (at(1), 200), (at(20), 5_000)];
        let lines = Lines::new(vec![Line { class: "p50", points }], at(0), at(24), 3_600_000);
        let svg = lines.to_string();
        let path = svg.split("class=\"p50\" d=\"").nth(1).expect("a line");
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
        assert!(svg.contains(">100 ms<") && svg.contains(">10 s<"), "{svg}");
        assert!(!svg.contains("style=") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn nothing_to_draw_is_no_failure() {
        let lines = Lines::new(Vec::new(), at(5), at(5), 3_600_000);
        assert!(lines.is_empty() && !lines.to_string().contains("NaN"));
        assert!(Bars::new(Vec::new()).rows.is_empty());
        assert_eq!(Bars::new([("a".into(), 0)]).rows[0].width, 0);
    }
}
