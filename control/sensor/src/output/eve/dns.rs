//! EVE's `dns` object, version 2: `query`, one entry a question, or `answer`.

use std::fmt;

use app::{DnsData, DnsRecord, DnsSummary};
use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

/// The object's version.
const VERSION: u8 = 2;

/// Header flags that `answer` tells of, in its order.
const FLAGS: [(&str, u16); 6] =
    [("qr", 0x8000), ("aa", 0x0400), ("tc", 0x0200), ("rd", 0x0100), ("ra", 0x0080), ("z", Z)];

/// The header flag that must be zero.
const Z: u16 = 0x0040;

/// Response codes (RFC 1035, 2136, 6895).
const CODES: [&str; 11] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
    "NXRRSET", "NOTAUTH", "NOTZONE",
];

/// A message.
pub(crate) struct Dns<'a>(pub(crate) &'a DnsSummary);

impl Serialize for Dns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("dns", 2)?;
        object.serialize_field("version", &VERSION)?;
        if self.0.answer {
            object.serialize_field("answer", &Answer(self.0))?;
        } else if !self.0.questions.is_empty() {
            object.serialize_field("query", &Query(self.0))?;
        }
        object.end()
    }
}

struct Query<'a>(&'a DnsSummary);

impl Serialize for Query<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Question<'a> {
            r#type: &'static str,
            id: u16,
            rrname: &'a str,
            rrtype: &'a str,
            tx_id: u64,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            z: bool,
            opcode: u8,
        }
        let mut list = serializer.serialize_seq(Some(self.0.questions.len()))?;
        for question in &self.0.questions {
            list.serialize_element(&Question {
                r#type: "query",
                id: self.0.id,
                rrname: &question.rrname,
                rrtype: &question.rrtype_name,
                tx_id: self.0.tx_id,
                z: self.0.flags & Z != 0,
                opcode: self.0.opcode,
            })?;
        }
        list.end()
    }
}

struct Answer<'a>(&'a DnsSummary);

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dns = self.0;
        let mut object = serializer.serialize_struct("answer", 8)?;
        object.serialize_field("version", &VERSION)?;
        object.serialize_field("type", "answer")?;
        object.serialize_field("id", &dns.id)?;
        object.serialize_field("flags", &Hex(dns.flags))?;
        for (name, bit) in FLAGS {
            if dns.flags & bit != 0 {
                object.serialize_field(name, &true)?;
            }
        }
        object.serialize_field("opcode", &dns.opcode)?;
        if let Some(question) = dns.questions.first() {
            object.serialize_field("rrname", &question.rrname)?;
            object.serialize_field("rrtype", &question.rrtype_name)?;
        }
        object.serialize_field("rcode", &Code(dns.rcode))?;
        if !dns.authorities.is_empty() {
            object.serialize_field("authorities", &Records(&dns.authorities))?;
        }
        object.end()
    }
}

struct Records<'a>(&'a [DnsRecord]);

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Record))
    }
}

struct Record<'a>(&'a DnsRecord);

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let mut object = serializer.serialize_struct("record", 4)?;
        object.serialize_field("rrname", &record.rrname)?;
        object.serialize_field("rrtype", &record.rrtype_name)?;
        object.serialize_field("ttl", &record.ttl)?;
        match &record.data {
            None => {}
            Some(DnsData::Text(text)) => object.serialize_field("rdata", text)?,
            Some(DnsData::Soa {
                mname,
                rname,
                numbers: [serial, refresh, retry, expire, minimum],
            }) => {
                #[derive(Serialize)]
                struct Soa<'a> {
                    mname: &'a str,
                    rname: &'a str,
                    serial: u32,
                    refresh: u32,
                    retry: u32,
                    expire: u32,
                    minimum: u32,
                }
                let (serial, refresh, retry) = (*serial, *refresh, *retry);
                let (expire, minimum) = (*expire, *minimum);
                let soa = Soa { mname, rname, serial, refresh, retry, expire, minimum };
                object.serialize_field("soa", &soa)?;
            }
            Some(DnsData::Srv { priority, weight, port, name }) => {
                #[derive(Serialize)]
                struct Srv<'a> {
                    priority: u16,
                    weight: u16,
                    port: u16,
                    name: &'a str,
                }
                let srv = Srv { priority: *priority, weight: *weight, port: *port, name };
                object.serialize_field("srv", &srv)?;
            }
            Some(DnsData::Sshfp { fingerprint, algorithm, kind }) => {
                #[derive(Serialize)]
                struct Sshfp<'a> {
                    fingerprint: &'a str,
                    algo: u8,
                    r#type: u8,
                }
                let sshfp = Sshfp { fingerprint, algo: *algorithm, r#type: *kind };
                object.serialize_field("sshfp", &sshfp)?;
            }
        }
        object.end()
    }
}

struct Hex(u16);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

struct Code(u8);

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match CODES.get(usize::from(self.0)) {
            Some(name) => serializer.serialize_str(name),
            None => serializer.collect_str(&self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::DnsQuestion;
    use serde_json::json;

    fn message() -> DnsSummary {
        DnsSummary {
            id: 2182,
            questions: vec![DnsQuestion {
                rrname: "whois.dot.tk".into(),
                rrtype: 1,
                rrtype_name: "A".into(),
            }],
            ..DnsSummary::default()
        }
    }

    #[test]
    fn a_query_lists_its_questions() {
        let text = serde_json::to_string(&Dns(&message())).expect("json");
        assert_eq!(
            text,
            "{\"version\":2,\"query\":[{\"type\":\"query\",\"id\":2182,\"rrname\":\"whois.dot.tk\",\
             \"rrtype\":\"A\",\"tx_id\":0,\"opcode\":0}]}"
        );
        let odd = DnsSummary { flags: 0x40, ..message() };
        assert_eq!(serde_json::to_value(Dns(&odd)).expect("json")["query"][0]["z"], true);
        let empty = DnsSummary { questions: Vec::new(), ..message() };
        assert_eq!(serde_json::to_value(Dns(&empty)).expect("json"), json!({"version": 2}));
    }

    #[test]
    fn an_answer_tells_its_authorities() {
        let record = |data| DnsRecord {
            rrname: "tk".into(),
            rrtype_name: "X".into(),
            ttl: 9,
            data: Some(data),
        };
        let soa = DnsData::Soa { mname: "m".into(), rname: "r".into(), numbers: [1, 2, 3, 4, 5] };
        let srv = DnsData::Srv { priority: 1, weight: 2, port: 3, name: "n".into() };
        let authorities = vec![record(DnsData::Text("ns".into())), record(soa), record(srv)];
        let answer = DnsSummary { answer: true, authorities, ..message() };
        assert_eq!(
            serde_json::to_value(Dns(&answer)).expect("json")["answer"]["authorities"],
            json!([
                {"rrname": "tk", "rrtype": "X", "ttl": 9, "rdata": "ns"},
                {"rrname": "tk", "rrtype": "X", "ttl": 9, "soa": {
                    "mname": "m", "rname": "r", "serial": 1, "refresh": 2, "retry": 3,
                    "expire": 4, "minimum": 5,
                }},
                {"rrname": "tk", "rrtype": "X", "ttl": 9, "srv":
                    {"priority": 1, "weight": 2, "port": 3, "name": "n"}},
            ])
        );
    }

    #[test]
    fn an_answer_tells_its_flags_and_code() {
        let answer = DnsSummary { answer: true, flags: 0x8583, rcode: 3, ..message() };
        assert_eq!(
            serde_json::to_value(Dns(&answer)).expect("json"),
            json!({"version": 2, "answer": {
                "version": 2, "type": "answer", "id": 2182, "flags": "8583",
                "qr": true, "aa": true, "rd": true, "ra": true,
                "opcode": 0, "rrname": "whois.dot.tk", "rrtype": "A", "rcode": "NXDOMAIN",
            }})
        );
        let odd = DnsSummary { rcode: 15, ..answer };
        assert_eq!(serde_json::to_value(Dns(&odd)).expect("json")["answer"]["rcode"], "15");
    }
}
