//! The mock upstream as a program: `aichat-mock [PORT [LOG]]` prints its base URL and serves until it is killed.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::thread;

use aichat_mock::Mock;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let log = arguments.next();
    let mock = Mock::listen(port, log.as_deref().map(Path::new))?;
    writeln!(std::io::stdout(), "{}", mock.url())?;
    loop {
        thread::park();
    }
}
