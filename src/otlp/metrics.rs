//! All metrics of the process, as OTLP writes them: cumulative since the start.

use super::Origin;
use super::exposition::{self, Family, Kind, Labels, Series};
use super::names::{TABLE, Told};
use crate::telemetry::names::MODEL_COST;
use crate::wire::otlp::metric::Data;
use crate::wire::otlp::number_data_point::Value;
use crate::wire::otlp::{
    CUMULATIVE, ExportMetrics, Gauge, Histogram, HistogramDataPoint, KeyValue, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, text,
};

/// What Prometheus text cannot leave out and attributes can.
const NONE: &str = "none";

/// `rendered`: Prometheus text; the times are nanoseconds since the epoch.
pub(super) fn encode(rendered: &str, origin: &Origin, began: u64, now: u64) -> ExportMetrics {
    let times = Times { began, now };
    let metrics = exposition::parse(rendered)
        .iter()
        .flat_map(|family| all(family, times))
        .collect();
    ExportMetrics {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(origin.resource.clone()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(origin.scope.clone()),
                metrics,
            }],
        }],
    }
}

#[derive(Clone, Copy)]
struct Times {
    began: u64,
    now: u64,
}

/// The metric under each of its names.
fn all(family: &Family, times: Times) -> Vec<Metric> {
    let told: Vec<&Told> = TABLE.iter().filter(|told| told.from == family.name).collect();
    if told.is_empty() {
        return vec![metric(family, None, times)];
    }
    told.into_iter().map(|told| metric(family, Some(told), times)).collect()
}

fn metric(family: &Family, told: Option<&Told>, times: Times) -> Metric {
    let scale = told.map_or(1.0, |told| told.scale);
    let number = |labels: &Labels, value: f64| NumberDataPoint {
        start_time_unix_nano: times.began,
        time_unix_nano: times.now,
        attributes: attributes(labels, told),
        value: Some(Value::AsDouble(value * scale)),
    };
    let numbers = || {
        let points = family.series.iter().filter_map(|series| match series {
            Series::Number(labels, value) => Some(number(labels, *value)),
            Series::Histogram { .. } => None,
        });
        points.collect()
    };
    // Money is a gauge under `/metrics` because counters there are whole numbers.
    let data = match family.kind {
        Kind::Gauge if family.name != MODEL_COST => Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Counter | Kind::Gauge => Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        }),
        Kind::Histogram => Data::Histogram(Histogram {
            data_points: family
                .series
                .iter()
                .filter_map(|series| histogram(series, told, scale, times))
                .collect(),
            aggregation_temporality: CUMULATIVE,
        }),
    };
    Metric {
        name: told.map_or_else(|| family.name.clone(), |told| told.name.to_owned()),
        description: family.help.clone(),
        unit: told.map_or_else(|| unit(&family.name), |told| told.unit).to_owned(),
        data: Some(data),
    }
}

fn histogram(series: &Series, told: Option<&Told>, scale: f64, times: Times) -> Option<HistogramDataPoint> {
    let Series::Histogram {
        labels,
        buckets,
        sum,
        count,
    } = series
    else {
        return None;
    };
    let mut below = 0;
    let mut counts: Vec<u64> = Vec::with_capacity(buckets.len() + 1);
    for (_, cumulative) in buckets {
        counts.push(cumulative.saturating_sub(below));
        below = *cumulative;
    }
    counts.push(count.saturating_sub(below));
    Some(HistogramDataPoint {
        start_time_unix_nano: times.began,
        time_unix_nano: times.now,
        count: *count,
        sum: Some(sum * scale),
        bucket_counts: counts,
        explicit_bounds: buckets.iter().map(|(bound, _)| bound * scale).collect(),
        attributes: attributes(labels, told),
    })
}

fn attributes(labels: &Labels, told: Option<&Told>) -> Vec<KeyValue> {
    let Some(told) = told else {
        return labels.iter().map(|(key, value)| text(key, value)).collect();
    };
    let named = |(label, value): &(String, String)| {
        let (_, name) = told.attributes.iter().find(|(from, _)| from == label)?;
        (value != NONE).then(|| text(*name, value))
    };
    let fixed = told.fixed.iter().map(|(key, value)| text(*key, *value));
    labels.iter().filter_map(named).chain(fixed).collect()
}

fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name.rsplit_once('_') {
        Some((_, "seconds")) => "s",
        Some((_, "bytes")) => "By",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(rendered: &str) -> Vec<Metric> {
        let request = encode(rendered, &Origin::new(&[], "i"), 1, 2);
        request.resource_metrics[0].scope_metrics[0].metrics.clone()
    }

    fn keys(attributes: &[KeyValue]) -> Vec<&str> {
        attributes.iter().map(|pair| pair.key.as_str()).collect()
    }

    #[test]
    fn durations_are_told_as_upstream_does_and_as_the_conventions_do() {
        let metrics = encoded(concat!(
            "# TYPE openclaw_model_call_duration_seconds histogram\n",
            "openclaw_model_call_duration_seconds_bucket{api=\"a\",error_category=\"none\",model=\"m\",le=\"0.5\"} 1\n",
            "openclaw_model_call_duration_seconds_bucket{api=\"a\",error_category=\"none\",model=\"m\",le=\"+Inf\"} 3\n",
            "openclaw_model_call_duration_seconds_sum{api=\"a\",error_category=\"none\",model=\"m\"} 4.5\n",
            "openclaw_model_call_duration_seconds_count{api=\"a\",error_category=\"none\",model=\"m\"} 3\n",
        ));
        let names: Vec<_> = metrics
            .iter()
            .map(|metric| (metric.name.as_str(), metric.unit.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("openclaw.model_call.duration_ms", "ms"),
                ("gen_ai.client.operation.duration", "s")
            ]
        );
        let points: Vec<_> = metrics
            .iter()
            .map(|metric| match &metric.data {
                Some(Data::Histogram(histogram)) => &histogram.data_points[0],
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(points[0].bucket_counts, [1, 2]);
        assert_eq!((points[0].count, points[0].sum), (3, Some(4_500.0)));
        assert_eq!(points[0].explicit_bounds, [500.0]);
        assert_eq!(points[1].explicit_bounds, [0.5]);
        assert_eq!(keys(&points[0].attributes), ["openclaw.api", "openclaw.model"]);
        assert_eq!(
            keys(&points[1].attributes),
            ["gen_ai.request.model", "gen_ai.operation.name"]
        );
    }

    #[test]
    fn money_is_a_sum_and_the_rest_keeps_its_name() {
        let metrics = encoded(concat!(
            "# TYPE openclaw_model_cost_usd_total gauge\nopenclaw_model_cost_usd_total{agent=\"main\"} 0.25\n",
            "# TYPE openclaw_store_bytes gauge\nopenclaw_store_bytes 7\n",
            "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1.5\n",
        ));
        let shown: Vec<_> = metrics
            .iter()
            .map(|metric| {
                let is_sum = matches!(&metric.data, Some(Data::Sum(sum)) if sum.is_monotonic);
                (metric.name.as_str(), metric.unit.as_str(), is_sum)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("openclaw.cost.usd", "{USD}", true),
                ("openclaw_store_bytes", "By", false),
                ("process_cpu_seconds_total", "s", true),
            ]
        );
    }
}
