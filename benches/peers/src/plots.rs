//! Plots of the figures, as SVG.

use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::Attempt;
use crate::embedded;
use crate::report::{Figures, Row};

const SIZE: (u32, u32) = (760, 420);
const FONT: (&str, u32) = ("sans-serif", 15);
/// Far apart for those who see few colours, too.
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
    RGBColor(0, 0, 0),
];

/// A line: its name, and where it goes.
#[derive(Debug)]
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Draws all plots of the comparison as policies grow.
///
/// # Errors
/// A file cannot be written, or there is nothing to draw.
pub(crate) fn of_policies(folder: &Path, rows: &[Row]) -> Attempt<()> {
    fs::create_dir_all(folder)?;
    let plot = |file: &str, title: &str, unit: &str, figure: &dyn Fn(&Figures) -> Option<f64>| {
        draw(&folder.join(file), title, unit, &curves(rows, figure))
    };
    plot("throughput.svg", "Answers a second at saturation, one processor", "answers/s", &|figures| {
        Some(figures.per_second.median)
    })?;
    plot("cpu.svg", "The server's CPU for each answer", "µs", &|figures| Some(figures.cpu_us.median))?;
    plot("p99.svg", "99th percentile at the lowest fixed rate", "µs", &|figures| {
        figures.paced.first()?.latencies.map(|latencies| latencies.p99)
    })?;
    plot("memory.svg", "Resident memory after the load", "MiB", &|figures| {
        Some(figures.resident_mib.last()?.median)
    })
}

/// Draws what deciding in process costs.
///
/// # Errors
/// A file cannot be written, or there is nothing to draw.
pub(crate) fn of_engines(folder: &Path, all: &[embedded::Figures]) -> Attempt<()> {
    fs::create_dir_all(folder)?;
    let mut curves: Vec<Curve> = Vec::new();
    for figures in all {
        let name = figures.engine.name();
        let point = (figures.policies as f64, figures.p50_us);
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve { name: name.to_owned(), points: vec![point] }),
        }
    }
    draw(&folder.join("in-process.svg"), "A decision in process, median", "µs", &curves)
}

/// One curve for each server that was measured at every number of policies that it can be.
fn curves(rows: &[Row], figure: &dyn Fn(&Figures) -> Option<f64>) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for row in rows {
        let Some(value) = row.figures.as_ref().and_then(figure) else { continue };
        let point = (row.policies as f64, value);
        match curves.iter_mut().find(|curve| curve.name == row.server) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve { name: row.server.clone(), points: vec![point] }),
        }
    }
    // What was measured at one number alone is in the table.
    curves.retain(|curve| curve.points.len() > 1);
    curves
}

fn draw(file: &Path, title: &str, unit: &str, curves: &[Curve]) -> Attempt<()> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let span = |of: fn(&(f64, f64)) -> f64| {
        let least = points().map(of).fold(f64::INFINITY, f64::min);
        let greatest = points().map(of).fold(f64::NEG_INFINITY, f64::max);
        (least * 0.8)..(greatest * 1.6)
    };
    if points().next().is_none() {
        return Err(format!("there is nothing to draw: {title}").into());
    }
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    chart(&area, title, unit, (span(|point| point.0), span(|point| point.1)), curves)?;
    area.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Span = std::ops::Range<f64>;

fn chart(area: &Area<'_>, title: &str, unit: &str, spans: (Span, Span), curves: &[Curve]) -> Attempt<()> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 19))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(70)
        .right_y_label_area_size(0)
        .build_cartesian_2d(spans.0.log_scale(), spans.1.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("policies")
        .y_desc(unit)
        .label_style(FONT)
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| if *value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") })
        .draw()?;
    for (curve, color) in curves.iter().zip(COLORS.into_iter().cycle()) {
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), color.stroke_width(2)).point_size(4))?
            .label(curve.name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(FONT)
        .draw()?;
    Ok(())
}
