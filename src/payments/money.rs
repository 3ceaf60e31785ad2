//! Amounts and currencies: integers in the minor unit of an ISO 4217 currency, never fractions.

/// Largest amount of one payment, in minor units: twelve digits, so that no amount looks like a card number.
pub const MAX_AMOUNT: u64 = 999_999_999_999;

/// Currencies whose minor unit is not a hundredth, by number of decimal digits (ISO 4217, table A.1).
const OTHER_EXPONENTS: &[(u8, &str)] = &[
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

/// Currencies of two decimal digits (ISO 4217, table A.1; funds codes included, metals and tests left out).
const HUNDREDTHS: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD \
     CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ \
     GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT \
     MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD \
     SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED \
     VES WST XCD XCG YER ZAR ZMW ZWG";

/// A currency of ISO 4217 that is in use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    exponent: u8,
}

impl Currency {
    /// Reads a code such as `EUR`; `None` if no currency in use has it (lower case included).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 3] = text.as_bytes().try_into().ok()?;
        let listed = |list: &str| list.split_ascii_whitespace().any(|known| known == text);
        if listed(HUNDREDTHS) {
            return Some(Self { code, exponent: 2 });
        }
        let (exponent, _) = OTHER_EXPONENTS.iter().find(|(_, list)| listed(list))?;
        Some(Self { code, exponent: *exponent })
    }

    /// The code, e.g. `EUR`.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).expect("only codes of the table are constructed")
    }

    /// Decimal digits of the minor unit: 0 for KRW, 2 for EUR, 3 for KWD.
    #[must_use]
    pub fn exponent(&self) -> u8 {
        self.exponent
    }
}

impl Currency {
    /// Reads an amount in the major unit, such as `12.34`, as minor units; `None` if it is none, or finer than the
    /// currency's minor unit.
    #[must_use]
    pub fn minor(&self, major: &str) -> Option<u64> {
        let (whole, fraction) = major.split_once('.').unwrap_or((major, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let exponent = usize::from(self.exponent);
        if !digits(whole) || !digits(fraction) || fraction.bytes().skip(exponent).any(|byte| byte != b'0') {
            return None;
        }
        let cents: String = fraction.chars().chain(std::iter::repeat('0')).take(exponent).collect();
        format!("{whole}{cents}").parse().ok()
    }
}

impl std::fmt::Debug for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount with its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// In minor units, 1 to [`MAX_AMOUNT`].
    pub amount: u64,
    /// Whose minor unit.
    pub currency: Currency,
}

impl Money {
    /// The amount in the major unit, exactly: `12.34`, `1000`.
    #[must_use]
    pub fn major(&self) -> String {
        let digits = usize::from(self.currency.exponent);
        let text = format!("{:0width$}", self.amount, width = digits + 1);
        let (whole, fraction) = text.split_at(text.len() - digits);
        let point = if digits == 0 { "" } else { "." };
        format!("{whole}{point}{fraction}")
    }
}

impl std::fmt::Display for Money {
    /// For people: `12.34 EUR`, `1000 KRW`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.major(), self.currency.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_upper_case_codes_in_use_are_currencies() {
        for (code, exponent) in [("EUR", 2), ("KRW", 0), ("JPY", 0), ("KWD", 3), ("CLF", 4)] {
            assert_eq!(Currency::parse(code).map(|currency| currency.exponent()), Some(exponent), "{code}");
        }
        for code in ["eur", "EURO", "EU", "", "XXX", "DEM", "E R", "€"] {
            assert_eq!(Currency::parse(code), None, "{code:?}");
        }
    }

    #[test]
    fn no_currency_is_listed_twice() {
        let mut seen = std::collections::HashSet::new();
        let lists = OTHER_EXPONENTS.iter().map(|(_, list)| *list).chain([HUNDREDTHS]);
        for code in lists.flat_map(str::split_ascii_whitespace) {
            assert!(seen.insert(code), "{code} twice");
            assert!(code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()), "{code}");
        }
    }

    #[test]
    fn an_amount_in_the_major_unit_is_read_exactly_or_not_at_all() {
        let minor = |text: &str, code: &str| Currency::parse(code).expect(code).minor(text);
        assert_eq!(minor("12.34", "EUR"), Some(1234));
        assert_eq!(minor("12.3", "EUR"), Some(1230));
        assert_eq!(minor("12", "EUR"), Some(1200));
        assert_eq!(minor("12.3400", "EUR"), Some(1234));
        assert_eq!(minor("15000", "KRW"), Some(15_000));
        assert_eq!(minor("15000.0", "KRW"), Some(15_000));
        assert_eq!(minor("0.001", "KWD"), Some(1));
        for text in ["", ".", "1.", ".5", "12.345", "-1", "+1", "1e3", "1,000", "١٢", "99999999999999999999999"] {
            assert_eq!(minor(text, "EUR"), None, "{text}");
        }
    }

    #[test]
    fn money_prints_in_the_major_unit() {
        let print = |amount, code| Money { amount, currency: Currency::parse(code).expect(code) }.to_string();
        assert_eq!(print(1234, "EUR"), "12.34 EUR");
        assert_eq!(print(5, "EUR"), "0.05 EUR");
        assert_eq!(print(1000, "KRW"), "1000 KRW");
        assert_eq!(print(1, "KWD"), "0.001 KWD");
    }
}
