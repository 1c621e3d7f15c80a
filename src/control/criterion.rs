//! The AICPA's Trust Services Criteria by number, each with a gloss in our own words: the AICPA's text is copyrighted,
//! and an auditor knows it anyway.

use serde::{Deserialize, Serialize};

/// One criterion, by its number. Ordered as the AICPA lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Criterion(usize);

impl Criterion {
    /// The criterion of that number, as in `CC6.1`.
    pub fn parse(number: &str) -> Result<Self, String> {
        CRITERIA
            .iter()
            .position(|(known, _)| *known == number)
            .map(Self)
            .ok_or_else(|| {
                format!(
                    "{number:?} is no Trust Services Criterion (CC1.1 to CC9.2, A1.1 to A1.3, C1.1, C1.2, PI1.1 to \
                     PI1.5, P1.1 to P8.1)"
                )
            })
    }

    /// Every criterion, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CRITERIA.len()).map(Self)
    }

    /// Its number.
    pub fn number(self) -> &'static str {
        CRITERIA[self.0].0
    }

    /// What it is about, in our own words.
    pub fn gloss(self) -> &'static str {
        CRITERIA[self.0].1
    }
}

/// The categories of the Trust Services Criteria. A company picks them; Security is always in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// CC1.1 to CC9.2.
    Security,
    /// A1.1 to A1.3.
    Availability,
    /// C1.1 and C1.2.
    Confidentiality,
    /// PI1.1 to PI1.5.
    ProcessingIntegrity,
    /// P1.1 to P8.1.
    Privacy,
}

impl Category {
    /// As the AICPA lists them.
    pub const ALL: [Self; 5] = [
        Self::Security,
        Self::Availability,
        Self::Confidentiality,
        Self::ProcessingIntegrity,
        Self::Privacy,
    ];

    /// Its criteria, in order.
    pub fn criteria(self) -> impl Iterator<Item = Criterion> {
        Criterion::all().filter(move |criterion| criterion.category() == self)
    }

    /// Its name in options and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Availability => "availability",
            Self::Confidentiality => "confidentiality",
            Self::ProcessingIntegrity => "processing-integrity",
            Self::Privacy => "privacy",
        }
    }
}

impl Criterion {
    /// The category that it is of.
    pub fn category(self) -> Category {
        match self
            .number()
            .trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')
        {
            "CC" => Category::Security,
            "A" => Category::Availability,
            "C" => Category::Confidentiality,
            "PI" => Category::ProcessingIntegrity,
            _ => Category::Privacy,
        }
    }
}

impl std::fmt::Display for Criterion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.number())
    }
}

impl TryFrom<String> for Criterion {
    type Error = String;

    fn try_from(number: String) -> Result<Self, String> {
        Self::parse(&number)
    }
}

impl From<Criterion> for String {
    fn from(criterion: Criterion) -> Self {
        criterion.number().to_owned()
    }
}

const CRITERIA: [(&str, &str); 61] = [
    ("CC1.1", "integrity and ethics are lived, from the top"),
    ("CC1.2", "the board is independent and oversees controls"),
    ("CC1.3", "reporting lines and responsibilities are set"),
    ("CC1.4", "competent people are hired, trained and kept"),
    ("CC1.5", "people answer for the controls they own"),
    ("CC2.1", "controls rest on information that is good enough"),
    ("CC2.2", "control duties are made known inside the company"),
    (
        "CC2.3",
        "customers and other outsiders are told what concerns them",
    ),
    ("CC3.1", "objectives are clear enough to name their risks"),
    ("CC3.2", "risks are found, analysed and owned"),
    ("CC3.3", "fraud is among the risks considered"),
    ("CC3.4", "changes that could upset controls are noticed"),
    ("CC4.1", "it is checked that controls exist and work"),
    ("CC4.2", "shortcomings reach those who must mend them, in time"),
    ("CC5.1", "control activities are chosen to answer the risks"),
    ("CC5.2", "general controls over technology are chosen"),
    ("CC5.3", "policies and procedures put controls to work"),
    ("CC6.1", "logical access: identities, keys, encryption, hardening"),
    ("CC6.2", "access is registered before it is given, and removed"),
    (
        "CC6.3",
        "access follows roles, least privilege and separated duties",
    ),
    ("CC6.4", "physical access to places and media is limited"),
    (
        "CC6.5",
        "equipment and media are wiped before they leave protection",
    ),
    ("CC6.6", "the boundary is guarded against threats from outside"),
    ("CC6.7", "data is protected and limited while it moves"),
    (
        "CC6.8",
        "unauthorised and malicious software is kept out or found",
    ),
    (
        "CC7.1",
        "configuration changes and new vulnerabilities are detected",
    ),
    ("CC7.2", "systems are watched for anomalies"),
    ("CC7.3", "security events are judged: incident or not"),
    ("CC7.4", "incidents are answered by a defined programme"),
    ("CC7.5", "recovery from incidents is carried out and learned from"),
    ("CC8.1", "changes are authorised, tested, approved, then made"),
    ("CC9.1", "business disruption is planned for"),
    ("CC9.2", "vendors and partners are assessed and managed"),
    ("A1.1", "capacity is measured and planned"),
    (
        "A1.2",
        "environment, backup and recovery infrastructure is in place",
    ),
    ("A1.3", "recovery is tested"),
    ("C1.1", "confidential information is identified and protected"),
    ("C1.2", "confidential information is disposed of"),
    (
        "PI1.1",
        "what processing is meant to do is defined and made known",
    ),
    ("PI1.2", "inputs are complete and accurate"),
    ("PI1.3", "processing is controlled, errors are found"),
    ("PI1.4", "output is complete, accurate and on time"),
    ("PI1.5", "stored inputs and outputs are kept intact"),
    ("P1.1", "people are told how their data is handled"),
    ("P2.1", "people get a choice, and consent is recorded"),
    ("P3.1", "only data fit for the stated purpose is collected"),
    ("P3.2", "explicit consent is obtained where it is needed"),
    ("P4.1", "personal data is used for its purpose only"),
    ("P4.2", "personal data is kept no longer than needed"),
    ("P4.3", "personal data is disposed of securely"),
    ("P5.1", "people can see their data"),
    ("P5.2", "people can have their data corrected"),
    ("P6.1", "data goes to third parties only with consent"),
    ("P6.2", "authorised disclosures are recorded"),
    ("P6.3", "unauthorised disclosures are recorded"),
    ("P6.4", "third parties commit to the same privacy"),
    ("P6.5", "third parties must report breaches"),
    ("P6.6", "breaches are notified to those affected"),
    ("P6.7", "people can ask what is held and who received it"),
    ("P7.1", "personal data is kept accurate and complete"),
    ("P8.1", "privacy complaints are handled, compliance is watched"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_has_33_criteria_and_privacy_18() {
        let counts = Category::ALL.map(|category| category.criteria().count());
        assert_eq!(counts, [33, 3, 2, 5, 18]);
    }

    #[test]
    fn a_number_that_the_aicpa_does_not_list_is_refused() {
        assert!(Criterion::parse("CC6.9").unwrap_err().contains("CC6.9"));
        assert!(Criterion::parse("cc6.1").is_err());
        assert_eq!(Criterion::parse("CC6.1").unwrap().to_string(), "CC6.1");
    }
}
