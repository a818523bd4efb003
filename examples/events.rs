//! What happened: a program records events of its own into a file, verifies it, and draws what took how long.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{env, fs, io};

use aichat_events::{
    Chain, Effects, Event, Fact, Lines, MessageUser, Recorder, Redactor, Scribe, SessionCreated, Timeline,
    TurnStarted,
};
use aichat_message::{Message, MessageId, SessionId, TurnId, WriterId};
use serde::{Deserialize, Serialize};

/// A fact of this program's own; whoever does not know it keeps it and shows a row for it.
#[derive(Serialize, Deserialize)]
struct TeaBrewed {
    cups: u32,
    note: String,
}

impl Fact for TeaBrewed {
    const TYPE: &'static str = "tea.brewed";
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = env::args().nth(1).ok_or("usage: events FILE")?;

    // Everything goes through the redactor, which knows the secrets by value. Clock and randomness can be given, too.
    let redactor = Redactor::new([("TEA_KEY".into(), "sk-not-a-real-key".into())]);
    let (effects, writer) = (Effects::default(), WriterId::from_bits(Effects::default().bits()));
    let session = SessionId::from_bits(effects.bits());
    let (turn, input) = (TurnId::from_bits(effects.bits()), MessageId::from_bits(effects.bits()));

    let scribe = Scribe::new(effects, writer, session, &redactor);
    let mut recorder = Recorder::new(scribe, Lines(fs::File::create_new(&path)?));
    recorder.record(&SessionCreated { name: Some("tea".into()), ..SessionCreated::default() })?;
    recorder.scribe().begin_turn(&turn);
    let (base, scope, agent, model) = (None, None, None, "kettle/steel".into());
    recorder.record(&TurnStarted { base, input: input.clone(), model, scope, agent, mends: None })?;
    recorder.record(&MessageUser { id: input, parent: None, message: Message::user("Tea, please.") })?;
    recorder.record(&TeaBrewed { cups: 2, note: "the key is sk-not-a-real-key".into() })?;
    let (written, Lines(file)) = recorder.finish()?;
    file.sync_all()?;

    // The log is lines of JSON: whoever has them can verify them and read them in more than one way.
    let text = fs::read_to_string(&path)?;
    let events: Vec<Event> = text.lines().map(Event::parse).collect::<Result<_, _>>()?;
    let mut chain = Chain::new();
    events.iter().try_for_each(|event| chain.push(event)).map_err(io::Error::other)?;
    println!("{} events hold, up to {}", chain.seq(), written.head());
    println!("{}", Timeline::of(&events).render(80));
    let tea = events.iter().find_map(TeaBrewed::of).ok_or("there is no tea")?;
    println!("{} cups, and {}", tea.cups, tea.note);

    // One changed letter breaks the chain, and an erased payload does not.
    let forged = Event::parse(&events[3].line().replace("\"cups\":2", "\"cups\":3"))?;
    for (what, fourth) in [("forged", forged), ("erased", events[3].erase())] {
        match Chain::from(3, *events[2].hash()).push(&fourth) {
            Ok(()) => println!("{what}: holds"),
            Err(fault) => println!("{what}: {fault}"),
        }
    }
    Ok(())
}
