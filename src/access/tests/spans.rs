use super::*;

#[test]
fn durations_as_people_write_them() {
    for (text, secs) in [
        ("30m", 1800),
        ("1h30m", 5400),
        ("2h", 7200),
        ("1d", 86_400),
        ("90m", 5400),
        ("45s", 45),
        ("1d2h3m4s", 93_784),
        ("2H", 7200),
        ("366d", 366 * 86_400),
    ] {
        assert_eq!(text.parse::<Span>().map(Span::secs), Ok(secs), "{text}");
    }
    for text in ["", "30", "m", "m30", "30m1h", "5m5m", "1.5h", "-5m", "+5m", "30 m", "30m ", "٣m", "1w"] {
        assert_eq!(text.parse::<Span>(), Err(DurationError::Form), "{text}");
    }
    assert_eq!("0m".parse::<Span>(), Err(DurationError::Zero));
    assert_eq!("367d".parse::<Span>(), Err(DurationError::TooLong));
    assert_eq!("99999999999999999999999d".parse::<Span>(), Err(DurationError::TooLong));
}

proptest::proptest! {
    #[test]
    fn a_duration_reads_as_it_is_shown(secs in 1_u64..=366 * 86_400) {
        let span = Span::from_secs(secs).unwrap();
        proptest::prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
    }
}
