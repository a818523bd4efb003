//! The chain over many events.

use aichat_events::{Chain, Event, Hash, SessionCreated, SessionRenamed, What};
use aichat_message::Json;

use crate::log::Log;

fn log() -> Log {
    let mut log = Log::new();
    log.add(&SessionCreated::default())
        .add(&SessionRenamed { name: Some("weather".into()) })
        .add_raw("later.happened", 9, Json::new("[1, 2]").unwrap())
        .add(&SessionRenamed::default());
    log
}

fn first_fault<'a>(events: impl IntoIterator<Item = &'a Event>) -> Option<(u64, What)> {
    let mut chain = Chain::new();
    events.into_iter().find_map(|event| chain.push(event).err()).map(|fault| (fault.seq, fault.what))
}

#[test]
fn a_whole_log_verifies_with_an_unknown_type_and_with_erased_payloads_in_it() {
    let events = log().events;
    assert_eq!(first_fault(&events), None);
    assert_eq!(first_fault(&events.iter().map(Event::erase).collect::<Vec<_>>()), None);
    let mut chain = Chain::from(2, *events[1].hash());
    chain.push(&events[2]).unwrap();
    assert_eq!((chain.seq(), chain.head()), (3, *events[2].hash()));
}

#[test]
fn gaps_doubles_strangers_and_a_fault_leave_the_chain_where_it_was() {
    let events = log().events;
    assert_eq!(first_fault(&events[1..]), Some((2, What::Seq)));
    assert_eq!(first_fault([&events[0], &events[2]]), Some((3, What::Seq)));
    assert_eq!(first_fault([&events[0], &events[0]]), Some((1, What::Seq)));
    let other = Event::parse(&events[1].line().replace("\"ses_", "\"ses_0")).unwrap();
    assert_eq!(first_fault([&events[0], &other]), Some((2, What::Session)));
    let mut chain = Chain::from(1, Hash::ZERO);
    assert_eq!(
        chain.push(&events[1]).unwrap_err().to_string(),
        "event 2 does not name the hash of the event before it"
    );
    assert_eq!((chain.seq(), chain.head()), (1, Hash::ZERO));
    assert_eq!(Chain::from(u64::MAX, Hash::ZERO).push(&events[0]).unwrap_err().what, What::Seq);
}
