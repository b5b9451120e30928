// Reads TensorBoard's event files by the published definitions of their messages, with protobufjs: a reader that shares
// nothing with the runtime that writes them.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";

/**
 * The members of tensorboard/compat/proto and tensorboard/plugins/hparams that a run writes. AnyValue is
 * google.protobuf.Value.
 */
const definitions = `
syntax = "proto3";
message TensorShapeProto {
  message Dim { int64 size = 1; string name = 2; }
  repeated Dim dim = 2; bool unknown_rank = 3;
}
message TensorProto {
  int32 dtype = 1; TensorShapeProto tensor_shape = 2; int32 version_number = 3; bytes tensor_content = 4;
  repeated float float_val = 5; repeated bytes string_val = 8;
}
message SummaryMetadata {
  message PluginData { string plugin_name = 1; bytes content = 2; }
  PluginData plugin_data = 1; string display_name = 2; string summary_description = 3; int32 data_class = 4;
}
message Summary {
  message Value {
    string tag = 1; oneof value { float simple_value = 2; TensorProto tensor = 8; } SummaryMetadata metadata = 9;
  }
  repeated Value value = 1;
}
message SessionLog { int32 status = 1; string checkpoint_path = 2; string msg = 3; }
message SourceMetadata { string writer = 1; }
message Event {
  double wall_time = 1; int64 step = 2;
  oneof what { string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
  SourceMetadata source_metadata = 10;
}
message ListValue { repeated AnyValue values = 1; }
message AnyValue {
  oneof kind { int32 null_value = 1; double number_value = 2; string string_value = 3; bool bool_value = 4; }
}
message Interval { double min_value = 1; double max_value = 2; }
message HParamInfo {
  string name = 1; string display_name = 2; string description = 3; int32 type = 4;
  oneof domain { ListValue domain_discrete = 5; Interval domain_interval = 6; }
}
message MetricName { string group = 1; string tag = 2; }
message MetricInfo { MetricName name = 1; string display_name = 3; string description = 4; int32 dataset_type = 5; }
message Experiment {
  string description = 1; string user = 2; double time_created_secs = 3; repeated HParamInfo hparam_infos = 4;
  repeated MetricInfo metric_infos = 5; string name = 6;
}
message SessionStartInfo {
  map<string, AnyValue> hparams = 1; string model_uri = 2; string monitor_url = 3; string group_name = 4;
  double start_time_secs = 5;
}
message SessionEndInfo { int32 status = 1; double end_time_secs = 2; }
message HParamsPluginData {
  int32 version = 1;
  oneof data {
    Experiment experiment = 2; SessionStartInfo session_start_info = 3; SessionEndInfo session_end_info = 4;
  }
}
`;
const types = protobuf.parse(definitions, { keepCase: true }).root;

export interface SummaryValue {
  readonly tag: string;
  readonly simple_value?: number;
  readonly tensor?: {
    readonly dtype: number;
    readonly tensor_shape?: { readonly dim?: readonly { readonly size: number }[] };
    readonly float_val?: readonly number[];
    readonly string_val?: readonly string[];
  };
  readonly metadata?: {
    readonly plugin_data: { readonly plugin_name: string; readonly content?: string };
    readonly data_class: number;
  };
}
export interface Event {
  readonly file: string;
  readonly wall_time: number;
  readonly step: number;
  readonly file_version?: string;
  readonly summary?: { readonly value: readonly SummaryValue[] };
  readonly session_log?: { readonly status: number };
  readonly source_metadata?: { readonly writer: string };
}

/** Messages as plain objects: int64 as numbers, bytes as base64. Throws if it is not a message of this type. */
export function decode(type: string, bytes: Uint8Array): unknown {
  const t = types.lookupType(type);
  return t.toObject(t.decode(bytes), { longs: Number, bytes: String });
}

/** CRC-32C, bit by bit from its polynomial, with the mask of TFRecord. */
function maskedCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const b of bytes) {
    crc ^= b;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** The events of a file. Throws if a record is incomplete or a CRC is wrong. */
export function readEvents(file: string): readonly Event[] {
  const bytes = readFileSync(file);
  const events: Event[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = Number(bytes.readBigUInt64LE(at));
    if (bytes.readUInt32LE(at + 8) !== maskedCrc(bytes.subarray(at, at + 8)))
      throw new Error(`${file}: CRC of a length`);
    const payload = bytes.subarray(at + 12, at + 12 + size);
    if (bytes.readUInt32LE(at + 12 + size) !== maskedCrc(payload)) throw new Error(`${file}: CRC of an event`);
    events.push({ step: 0, ...(decode("Event", payload) as object), file } as Event);
    at += 16 + size;
  }
  return events;
}

/** The event files of a run, in the order in which TensorBoard reads them. */
export const eventFiles = (dir: string): readonly string[] =>
  readdirSync(dir)
    .filter((f) => f.startsWith("events.out.tfevents."))
    .sort()
    .map((f) => join(dir, f));

export const allEvents = (dir: string): readonly Event[] => eventFiles(dir).flatMap(readEvents);

/** The points of each scalar of a run, in the order of its files. */
export function scalars(dir: string): ReadonlyMap<string, readonly (readonly [step: number, value: number])[]> {
  const found = new Map<string, (readonly [number, number])[]>();
  for (const e of allEvents(dir))
    for (const v of e.summary?.value ?? [])
      if (v.simple_value !== undefined) found.set(v.tag, [...(found.get(v.tag) ?? []), [e.step, v.simple_value]]);
  return found;
}

/** The records of the HParams plugin: tag, and what HParamsPluginData holds. */
export const hparams = (dir: string): readonly (readonly [string, Readonly<Record<string, unknown>>])[] =>
  allEvents(dir).flatMap((e) =>
    (e.summary?.value ?? [])
      .filter((v) => v.metadata?.plugin_data.plugin_name === "hparams")
      .map((v) => {
        const content = Buffer.from(v.metadata?.plugin_data.content ?? "", "base64");
        return [v.tag, decode("HParamsPluginData", content) as Record<string, unknown>] as const;
      }),
  );
