//! An importer of one's own: conversations that another program kept as plain text become sessions.

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use aichat_engine::{Engine, Error, Foreign, Importer, Said};
use aichat_message::{ErrorKind, Message};
use aichat_store::Memory;

/// Reads the logs of a chat room: a line `# NAME`, and then what was said, `me:` or `bot:` before it.
struct Room;

impl Importer for Room {
    fn tool(&self) -> &'static str {
        "example/room"
    }

    fn recognises(&self, text: &str) -> bool {
        text.starts_with("# ") && text.contains("\nme: ")
    }

    fn read(&self, text: &str) -> Result<Vec<Foreign>, Error> {
        let mut rooms: Vec<Foreign> = Vec::new();
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let wrong = |what| Error::new(ErrorKind::Input, format!("line {}: {what}", n + 1));
            if let Some(name) = line.strip_prefix("# ") {
                rooms.push(Foreign { name: Some(name.to_owned()), ..Foreign::default() });
                continue;
            }
            let room = rooms.last_mut().ok_or_else(|| wrong("it comes before any name"))?;
            match line.split_once(": ") {
                Some(("me", said)) => room.said.push(Said::new(Message::user(said))),
                Some(("bot", said)) => room.said.push(Said::new(Message::assistant(said))),
                // Whatever has no place in a session is named; it is recorded with what was taken in.
                Some(("mood", _)) => room.lost.push("the mood".to_owned()),
                _ => return Err(wrong("nobody says it")),
            }
        }
        Ok(rooms)
    }
}

const LOG: &str = "# rivers\nme: Name one.\nbot: The Rhône.\nmood: calm\n";
const MORE: &str = "me: And a lake?\nbot: Lake Geneva.\n";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::builder(Memory::new()).build();
    for log in [LOG.to_owned(), LOG.to_owned(), [LOG, MORE].concat(), "# rivers\nme: \nRhine".to_owned()] {
        assert!(Room.recognises(&log));
        match Room.read(&log) {
            Ok(rooms) => {
                for room in engine.adopt(Room.tool(), &rooms).await? {
                    let (new, all) = (room.new_turns, room.turns);
                    println!("{new} new of {all} turns, without {}", room.lost.join(", "));
                }
            }
            Err(error) => println!("refused: {error}"),
        }
    }
    let session = engine.resolve("rivers").await?;
    for entry in engine.transcript(&session).await?.entries {
        println!("{}: {}", entry.role.as_str(), entry.message.text());
    }
    println!("chain holds: {}", engine.verify(&session).await?.fault.is_none());
    Ok(())
}
