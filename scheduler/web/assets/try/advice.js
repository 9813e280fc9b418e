// What to do about it: the stable words by which jobs fail and submits are refused, as sentences for people.

import { words } from "../common/format.js";

const ENDED = {
  waiting_timeout: "No node that serves this pair was free in time.",
  no_node: "No node that serves this pair was connected.",
  store_unavailable: "The store of the scheduler did not answer.",
  attempts_max: "Each attempt failed or was lost, and it was tried as often as it may be.",
  expired: "It did not end in the time that it had.",
  bad_output: "The node's answer can't be passed on.",
  output_too_large: "The node's answer is too large to be passed on.",
  stopping: "The scheduler stopped before it was done.",
};
const REFUSED = {
  audio_too_large: "The sound is too large; cut it into shorter pieces.",
  empty_audio: "There is no sound in it.",
  not_audio: "That is not a WAV file.",
  incomplete_audio: "That WAV file is not complete.",
  overloaded: "More jobs come than the nodes of this pair can do in time.",
  no_node: "No node that serves this pair is connected.",
  store_unavailable: "The store of the scheduler does not answer.",
  bad_pair: "That is no language pair: it is source:target, such as zh:en.",
  jobs_max: "The scheduler has as many jobs as it takes.",
  waiting_max: "As many jobs wait for this pair as may.",
  audio_total_bytes_max: "The scheduler has as much sound as it takes.",
  result_waiters_max: "As many clients wait for results as may.",
  unacknowledged_max: "This page has not acknowledged as many results as it must.",
  rate: "Too many submits in a short time.",
  stopping: "The scheduler stops; the next one gets it.",
};

/** Why a job failed, as a sentence, with what its worker wrote about it. */
export const whyFailed = (reason, detail) =>
  (ENDED[reason] ?? `The node says: ${words(String(reason ?? "nothing"))}.`) + (detail ? ` (${detail})` : "");

/** Why a submit was not taken, as a sentence; what the scheduler says stands there where we know no better. */
export const whyRefused = ({ reason, message }) => REFUSED[reason] ?? `${words(reason)}: ${message}`;
