//! Servers compared over one world: in turn, so that what disturbs the machine for a while disturbs all of them.

use crate::Attempt;
use crate::echo;
use crate::load::LEAST_HITS;
use crate::ours::Setting;
use crate::report::{Figures, Row};
use crate::round::{Bench, Round, Site};
use crate::subject::{Line, Subject};
use crate::world::World;

/// The echo repeats the answers of a server so configured.
const REPEATED: Setting = Setting { cached: false, logged: false };

/// Those that tell how it goes as policies grow; with `all`, those with a log too.
pub(crate) fn subjects(all: bool) -> Vec<Subject> {
    let mandate = |cached, logged| Subject::Mandate(Setting { cached, logged });
    let few = [
        Subject::Echo,
        mandate(false, false),
        mandate(true, false),
        Subject::Cerbos { logged: false },
        Subject::CedarAgent,
    ];
    let more = [mandate(false, true), mandate(true, true), Subject::Cerbos { logged: true }];
    few.into_iter().chain(more.into_iter().filter(|_| all)).collect()
}

/// Measures servers over a world, and says of each that cannot be asked about it why.
///
/// # Errors
/// A server does not start, or an answer is wrong.
pub(crate) fn compared(
    bench: &Bench,
    world: &World,
    policies: usize,
    subjects: &[Subject],
    rounds: usize,
) -> Attempt<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    world.write(folder.path())?;
    let site = Site { world, root: folder.path() };
    if subjects.contains(&Subject::Echo) {
        capture(bench, &site)?;
    }
    let mut all: Vec<_> = subjects.iter().map(|_| Vec::new()).collect();
    for number in 1..=rounds {
        for (&subject, of_subject) in subjects.iter().zip(&mut all) {
            if subject.obstacle(world).is_none() {
                anstream::eprintln!(
                    "{}, {policies} policies, round {number}: {}",
                    world.name,
                    subject.name()
                );
                let round = bench.round(subject, &site, number == rounds);
                of_subject.push(round.map_err(|error| format!("{}: {error}", subject.name()))?);
            }
        }
    }
    subjects.iter().zip(&all).map(|(&subject, rounds)| row(world, policies, subject, rounds)).collect()
}

fn row(world: &World, policies: usize, subject: Subject, rounds: &[Round]) -> Attempt<Row> {
    let obstacle = subject.obstacle(world);
    let figures = if obstacle.is_none() { Some(Figures::of(rounds)?) } else { None };
    if let (Subject::Mandate(setting), Some(share)) =
        (subject, figures.as_ref().and_then(|figures| figures.hits))
    {
        let warm = setting.cached && !world.never_twice;
        if (warm && share < LEAST_HITS) || (!warm && share > 0.0) {
            return Err(format!("{}: {share:.3} of answers came from the cache", subject.name()).into());
        }
    }
    Ok(Row {
        world: world.name.to_owned(),
        policies,
        server: subject.name(),
        obstacle: obstacle.map(str::to_owned),
        figures,
    })
}

/// Has Mandate answer everything once, for the echo to repeat.
fn capture(bench: &Bench, site: &Site<'_>) -> Attempt<()> {
    bench.runtime.block_on(async {
        let subject = Subject::Mandate(REPEATED);
        let mut running = subject.start(site.world, site.root, &bench.binaries, bench.shape).await?;
        let Some(Line::Ours(connection)) = running.lines.first_mut() else {
            return Err("there is no connection".into());
        };
        let answers = connection.answers().await?;
        running.stop().await?;
        echo::write_answers(&site.root.join("answers.bin"), &answers)
    })
}
