//! A rule while its options are read: the buffer that tests go to, the content that modifiers
//! mean, and what the rule is made of so far.

use std::sync::Arc;

use super::Context;
use super::memo::Memo;
use super::names::Names;
use crate::signature::{
    Action, AppProtocolTest, Buffer, BufferTests, Content, DetectionFilter, Extra, FlowMatch,
    FlowbitSet, FlowbitTest, FlowintSet, FlowintTest, HeaderTest, Number, Protocol, Target, Test,
    Threshold, Transform,
};

/// What parsing a file shares between its rules.
pub(crate) struct Session<'c> {
    pub(crate) context: &'c Context,
    pub(crate) names: &'c mut Names,
    pub(crate) memo: &'c mut Memo,
    /// The file that is read.
    pub(crate) file: &'c str,
}

/// A test and what only the parser needs to know of it.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) test: Test,
    /// `rawbytes` was written on it.
    pub(crate) raw: bool,
    /// `fast_pattern:only` was written on it.
    pub(crate) only: bool,
    /// `fast_pattern:offset,length` was written on it.
    pub(crate) chop: Option<(usize, usize)>,
    /// A size that `urilen` wrote.
    pub(crate) urilen: bool,
}

impl Item {
    /// The content, if it is one.
    pub(crate) fn content(&self) -> Option<&Content> {
        match &self.test {
            Test::Content(content) => Some(content),
            _ => None,
        }
    }
}

/// The tests on one buffer.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) buffer: Buffer,
    pub(crate) transforms: Vec<Transform>,
    pub(crate) items: Vec<Item>,
}

impl List {
    /// As the signature keeps it.
    pub(crate) fn into_tests(self) -> BufferTests {
        let tests = self.items.into_iter().map(|item| item.test).collect();
        BufferTests { buffer: self.buffer, transforms: self.transforms, tests }
    }
}

/// A sticky buffer: all that follows looks there.
#[derive(Debug)]
pub(crate) struct Sticky {
    pub(crate) keyword: String,
    pub(crate) buffer: Buffer,
    pub(crate) transforms: Vec<Transform>,
    /// Index of its list, once it has a test.
    pub(crate) list: Option<usize>,
}

/// A rule while its options are read.
pub(crate) struct Draft<'s, 'c> {
    pub(crate) session: &'s mut Session<'c>,
    pub(crate) action: Action,
    pub(crate) protocol: Protocol,
    pub(crate) gid: Option<u32>,
    pub(crate) sid: Option<u32>,
    pub(crate) rev: Option<u32>,
    pub(crate) msg: Option<Arc<str>>,
    /// Name, description and priority.
    pub(crate) class: Option<super::classification::Entry>,
    pub(crate) priority: Option<u32>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) references: Vec<(String, String)>,
    pub(crate) target: Option<Target>,
    pub(crate) flow: FlowMatch,
    pub(crate) header: Vec<HeaderTest>,
    pub(crate) app_protocol_tests: Vec<AppProtocolTest>,
    pub(crate) events: Vec<app::AppEvent>,
    pub(crate) transaction_tests: Vec<crate::signature::TransactionTest>,
    pub(crate) flowbit_tests: Vec<FlowbitTest>,
    pub(crate) flowbit_sets: Vec<FlowbitSet>,
    pub(crate) flowint_tests: Vec<FlowintTest>,
    pub(crate) flowint_sets: Vec<FlowintSet>,
    pub(crate) threshold: Option<Threshold>,
    pub(crate) detection_filter: Option<DetectionFilter>,
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) noalert: bool,
    /// In order of first appearance.
    pub(crate) lists: Vec<List>,
    pub(crate) sticky: Option<Sticky>,
    /// List and index of the content that modifiers mean.
    pub(crate) last_content: Option<(usize, usize)>,
    /// The list that the last test went to: without a sticky buffer, relative tests join it.
    pub(crate) last_list: Option<usize>,
    /// `byte_extract`'s and `byte_math`'s names; the first of a name is the one that is meant.
    pub(crate) variables: Vec<String>,
    /// The first keyword that only a packet can answer, for messages.
    pub(crate) packet_keyword: Option<String>,
}

impl<'s, 'c> Draft<'s, 'c> {
    /// A rule without options.
    pub(crate) fn new(session: &'s mut Session<'c>, action: Action, protocol: Protocol) -> Self {
        Self {
            session,
            action,
            protocol,
            gid: None,
            sid: None,
            rev: None,
            msg: None,
            class: None,
            priority: None,
            metadata: Vec::new(),
            references: Vec::new(),
            target: None,
            flow: FlowMatch::default(),
            header: Vec::new(),
            app_protocol_tests: Vec::new(),
            events: Vec::new(),
            transaction_tests: Vec::new(),
            flowbit_tests: Vec::new(),
            flowbit_sets: Vec::new(),
            flowint_tests: Vec::new(),
            flowint_sets: Vec::new(),
            threshold: None,
            detection_filter: None,
            extra: None,
            noalert: false,
            lists: Vec::new(),
            sticky: None,
            last_content: None,
            last_list: None,
            variables: Vec::new(),
            packet_keyword: None,
        }
    }

    /// What only a few rules ask for; made for the first that does.
    pub(crate) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// The list of a buffer without transforms; a new one where there is none, or where every
    /// use of the buffer is looked for on its own (`dns.query`: another question may match).
    pub(crate) fn open(&mut self, buffer: Buffer, transforms: &[Transform]) -> usize {
        let joins = transforms.is_empty() && !buffer.is_multi();
        let same = |list: &List| list.buffer == buffer && list.transforms.is_empty();
        if let Some(at) = self.lists.iter().position(same).filter(|_| joins) {
            return at;
        }
        self.lists.push(List { buffer, transforms: transforms.to_vec(), items: Vec::new() });
        self.lists.len() - 1
    }

    /// The list that a test goes to now.
    pub(crate) fn current(&mut self) -> usize {
        let Some(sticky) = &self.sticky else { return self.open(Buffer::Payload, &[]) };
        if let Some(list) = sticky.list {
            return list;
        }
        let (buffer, transforms) = (sticky.buffer, sticky.transforms.clone());
        let list = self.open(buffer, &transforms);
        if let Some(sticky) = &mut self.sticky {
            sticky.list = Some(list);
        }
        list
    }

    /// The list of a test that may be relative: without a sticky buffer, that of the test it is
    /// relative to.
    pub(crate) fn current_for(&mut self, relative: bool) -> usize {
        match self.last_list {
            Some(list) if relative && self.sticky.is_none() => list,
            _ => self.current(),
        }
    }

    /// Adds a test to a list.
    pub(crate) fn push_to(&mut self, at: usize, test: Test) {
        let is_content = matches!(test, Test::Content(_));
        if let Some(list) = self.lists.get_mut(at) {
            list.items.push(Item { test, raw: false, only: false, chop: None, urilen: false });
            self.last_list = Some(at);
            if is_content {
                self.last_content = Some((at, list.items.len() - 1));
            }
        }
    }

    /// Adds a test to the current list.
    pub(crate) fn push(&mut self, test: Test) {
        let at = self.current();
        self.push_to(at, test);
    }

    /// Adds a test on the packet's headers.
    pub(crate) fn push_header(&mut self, test: HeaderTest) -> Result<(), String> {
        self.header.push(test);
        Ok(())
    }

    /// The content that a modifier means, with what the parser knows of it.
    pub(crate) fn content_item(&mut self) -> Result<&mut Item, String> {
        self.last_content
            .and_then(|(list, item)| self.lists.get_mut(list)?.items.get_mut(item))
            .ok_or_else(|| "there is no content before it to modify".to_owned())
    }

    /// The content before the one that a modifier means, in the same buffer.
    pub(crate) fn content_before(&self) -> Option<&Item> {
        let (list, item) = self.last_content?;
        let items = self.lists.get(list)?.items.get(..item)?;
        items.iter().rev().find(|item| matches!(item.test, Test::Content(_) | Test::Pcre(_)))
    }

    /// Binds the rule to the application protocol of a buffer; where several have it, the rule
    /// may be on one of them or on none.
    pub(crate) fn need_buffer(&mut self, buffer: Buffer) -> Result<(), String> {
        match (buffer.origin().map(|origin| origin.apps), self.protocol.app) {
            (Some([app]), Some(set)) if buffer.is_file() && set != *app => {
                Err(format!("files over {set} are not evaluated in this build"))
            }
            (Some([app]), _) => self.need_app(app),
            (Some(apps), Some(set)) if !apps.contains(&set) => {
                Err(format!("a rule on {set} cannot look at this buffer"))
            }
            _ => Ok(()),
        }
    }

    /// Binds the rule to an application protocol.
    pub(crate) fn need_app(&mut self, app: &'static str) -> Result<(), String> {
        match self.protocol.app {
            Some(set) if set == app => Ok(()),
            Some("http2") if app == "http" => {
                Err("buffers of HTTP/2 are not evaluated in this build".to_owned())
            }
            Some(set) => Err(format!("a rule on {set} cannot look at {app}")),
            None => {
                self.protocol.app = Some(app);
                Ok(())
            }
        }
    }

    /// A literal within bounds or a `byte_extract` variable.
    pub(crate) fn number(&self, value: &str, low: i64, high: i64) -> Result<Number, String> {
        let value = value.trim();
        let digits = value.strip_prefix('-').unwrap_or(value);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return match value.parse() {
                Ok(number) if (low..=high).contains(&number) => Ok(Number::Literal(number)),
                _ => Err(format!("{value} is out of range: {low} to {high}")),
            };
        }
        self.variable(value)
    }

    /// A `byte_extract` variable by its name.
    pub(crate) fn variable(&self, name: &str) -> Result<Number, String> {
        self.variables
            .iter()
            .position(|known| known == name)
            .and_then(|slot| u8::try_from(slot).ok())
            .map(Number::Variable)
            .ok_or_else(|| {
                let name = super::text::shown(name);
                format!("`{name}` is neither a number nor a variable that byte_extract has set")
            })
    }
}
