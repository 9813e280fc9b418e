// The charts, and the points of the last minutes behind them.

import { duration, fine, short, whole } from "../common/format.js";
import { Chart } from "./chart.js";
import { smoothed } from "./scale.js";

const SMOOTH_S = 5;

export class Charts {
  constructor(place, jobsPlace) {
    this.points = [];
    this.seconds = 300;
    const quantiles = [
      { label: "p99", style: "third" },
      { label: "p90", style: "second" },
      { label: "p50", style: "first", area: true },
    ];
    const times = { series: quantiles, show: duration, floor: 4, seconds: this.seconds };
    this.flow = new Chart({
      title: "Throughput",
      about: "jobs a second, mean of 5 s",
      series: [
        { label: "completed", style: "second", area: true },
        { label: "submitted", style: "third" },
        { label: "failed", style: "bad", isRare: true },
      ],
      show: fine,
      tick: short,
      seconds: this.seconds,
    });
    this.wait = new Chart({ title: "Wait", about: "from submit to node, of 10 s", ...times });
    this.service = new Chart({ title: "Service", about: "from node to result, of 10 s", ...times });
    this.resident = new Chart({
      title: "Jobs in the table",
      about: "against Little’s law",
      series: [
        { label: "in the table", style: "first", area: true },
        { label: "predicted", style: "second dashed" },
        { label: "bound", style: "third" },
      ],
      show: whole,
      tick: short,
      floor: 10,
      seconds: this.seconds,
    });
    this.queue = new Chart({
      title: "Unfinished",
      about: "with nodes and waiting",
      series: [
        { label: "waiting", style: "third" },
        { label: "dispatched", style: "first", area: true },
      ],
      show: whole,
      tick: short,
      floor: 4,
      seconds: this.seconds,
      style: "plain",
    });
    jobsPlace.append(this.queue.element);
    place.append(...[this.flow, this.wait, this.service, this.resident].map((chart) => chart.element));
  }

  /** Begin with the points of the last minutes. */
  past({ points }) {
    this.points = points;
  }

  /** Add the point of a snapshot, and draw. */
  now({ point }) {
    const first = point.second - this.seconds - SMOOTH_S;
    this.points = this.points.filter((one) => one.second > first && one.second < point.second);
    this.points.push(point);
    const draw = (chart, points) => chart.update(points, point.second);
    const of = (values) => this.points.map((one) => ({ second: one.second, values: values(one) }));
    draw(this.flow, smoothed(this.points, SMOOTH_S, (one) => [one.completed, one.submitted, one.failed]));
    draw(this.wait, of(({ wait_ms }) => fallingQuantiles(wait_ms)));
    draw(this.service, of(({ service_ms }) => fallingQuantiles(service_ms)));
    draw(this.queue, of((one) => [one.waiting, Math.max(0, one.unfinished - one.waiting)]));
    draw(this.resident, of((one) => [one.resident, one.predicted, one.bound]));
  }
}

const fallingQuantiles = (quantiles) => (quantiles ? quantiles.toReversed() : [null, null, null]);
