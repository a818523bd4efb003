//! What happened: facts are masked, sealed into a chain, and read back as a transcript and a timeline.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use aichat_events::{
    Chain, Draft, Event, Fact, MessageAssistant, MessageUser, Redactor, Salt, SecretRedacted, SessionCreated,
    Timeline, Transcript, TurnCompleted, TurnStarted,
};
use aichat_message::{
    EventId, Finish, FinishReason, Json, JsonError, Message, MessageId, SessionId, TurnId, WriterId,
};

/// The log of one session as it grows.
#[derive(Default)]
struct Log {
    chain: Chain,
    lines: Vec<String>,
}

impl Log {
    /// Seals a fact at the end of the log, a millisecond after the one before.
    fn append<F: Fact>(&mut self, turn: Option<TurnId>, fact: &F) -> Result<(), Box<dyn std::error::Error>> {
        let seq = self.chain.seq() + 1;
        let draft = Self::draft(seq, turn, fact)?;
        // The hash covers the hash of the event before: nothing can be changed or left out unnoticed.
        let event = draft.seal(seq, &self.chain.head());
        self.chain.push(&event)?;
        self.lines.push(event.line().to_owned());
        Ok(())
    }

    /// Ids and salts are random in earnest, and times are the clock's; here they are made of `seq`.
    fn draft<F: Fact>(seq: u64, turn: Option<TurnId>, fact: &F) -> Result<Draft, JsonError> {
        Ok(Draft {
            id: EventId::from_bits([seq as u8; 10]),
            session: SessionId::from_bits([1; 10]),
            ts: 1_767_225_600_000_000 + 1000 * seq as i64,
            mono_us: 1000 * seq,
            writer: WriterId::from_bits([2; 10]),
            kind: F::TYPE.into(),
            tv: F::VERSION,
            turn,
            run: None,
            call: None,
            span: None,
            parent_span: None,
            cause: None,
            salt: Salt([seq as u8; 16]),
            payload: Json::from_value(fact)?,
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let turn = Some(TurnId::from_bits([3; 10]));
    let (question, answer) = (MessageId::from_bits([4; 10]), MessageId::from_bits([5; 10]));

    // Everything goes through the redactor before it is recorded; it knows the secrets by value.
    let redactor = Redactor::new([("OPENAI_API_KEY".into(), "sk-not-a-real-key".into())]);
    let masked = |text| redactor.redact_str(text).into_owned();

    let mut log = Log::default();
    log.append(None, &SessionCreated { name: Some("keys".into()), ..SessionCreated::default() })?;
    let started = TurnStarted {
        base: None,
        input: question.clone(),
        model: "demo/oracle".into(),
        scope: None,
        agent: None,
    };
    log.append(turn.clone(), &started)?;
    let (id, message) = (question.clone(), Message::user(masked("Is sk-not-a-real-key a good key?")));
    log.append(turn.clone(), &MessageUser { id, parent: None, message })?;
    let (id, message) = (answer.clone(), Message::assistant(masked("sk-not-a-real-key? Not any more.")));
    log.append(turn.clone(), &MessageAssistant { id, parent: Some(question), message, partial: false })?;
    log.append(turn.clone(), &SecretRedacted { counts: redactor.take_counts() })?;
    let finish = Finish { reason: FinishReason::Stop, raw: None };
    log.append(turn, &TurnCompleted { answer, finish })?;

    // A log is lines of JSON; whoever has them can verify them and read them in more than one way.
    let events: Vec<Event> = log.lines.iter().map(|line| Event::parse(line)).collect::<Result<_, _>>()?;
    let mut chain = Chain::new();
    events.iter().try_for_each(|event| chain.push(event))?;
    println!("{} events hold\n", chain.seq());
    println!("{}", Transcript::fold(&events).to_markdown());
    println!("{}", Timeline::of(&events).render(80));

    // One changed letter breaks the chain, and an erased payload does not.
    let forged = Event::parse(&log.lines[3].replace("any more", "anymore"))?;
    for (what, fourth) in [("forged", forged), ("erased", events[3].erase())] {
        match Chain::from(3, *events[2].hash()).push(&fourth) {
            Ok(()) => println!("{what}: holds"),
            Err(fault) => println!("{what}: {fault}"),
        }
    }
    Ok(())
}
