// The requirements of Kubernetes for the manifests in docs/launch: a schema of the fields that they use or might use,
// written from the API reference (batch/v1, v1, kubeflow.org/v1), and the rules between fields. A field that is not
// listed is an error.

/** The errors of a value, one line each; `at` is its position in the document. */
type Check = (value: unknown, at: string) => string[];
type Fields = Readonly<Record<string, Check>>;

const isMap = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);
const that =
  (ok: (v: unknown) => boolean, what: string): Check =>
  (v, at) =>
    ok(v) ? [] : [`${at}: ${JSON.stringify(v)} is not ${what}`];
const text = that((v) => typeof v === "string" && v !== "", "a text");
const truth = that((v) => typeof v === "boolean", "true or false");
const whole = (least: number, most = Number.MAX_SAFE_INTEGER): Check =>
  that(
    (v) => Number.isInteger(v) && (v as number) >= least && (v as number) <= most,
    `a whole number from ${least} on`,
  );
const oneOf = (...known: readonly string[]): Check =>
  that((v) => known.includes(v as string), `one of ${known.join(", ")}`);
const quantity = that((v) => /^\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/.test(String(v)), "a quantity");
const dnsLabel = that(
  (v) => typeof v === "string" && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(v),
  "a name: lower case, digits, -",
);
const list =
  (each: Check): Check =>
  (v, at) =>
    Array.isArray(v) && v.length > 0 ? v.flatMap((x, i) => each(x, `${at}[${i}]`)) : [`${at}: expected a list`];
const map =
  (each: Check): Check =>
  (v, at) =>
    isMap(v) ? Object.entries(v).flatMap(([k, x]) => each(x, `${at}.${k}`)) : [`${at}: expected a map`];
const object =
  (required: Fields, optional: Fields = {}): Check =>
  (v, at) => {
    if (!isMap(v)) return [`${at}: expected a map`];
    const missing = Object.keys(required)
      .filter((k) => v[k] === undefined)
      .map((k) => `${at}.${k} is missing`);
    const wrong = Object.entries(v).flatMap(
      ([k, x]) => ({ ...required, ...optional })[k]?.(x, `${at}.${k}`) ?? [`${at}.${k}: unknown field`],
    );
    return [...missing, ...wrong];
  };

const metadata = object({ name: dnsLabel }, { namespace: dnsLabel, labels: map(text), annotations: map(text) });
const source = object({}, { fieldRef: object({ fieldPath: text }), secretKeyRef: object({ name: text, key: text }) });
const container = object(
  { name: dnsLabel, image: text },
  {
    command: list(text),
    args: list(text),
    env: list(
      object(
        { name: that((v) => typeof v === "string" && /^[A-Za-z_]\w*$/.test(v), "the name of a variable") },
        { value: text, valueFrom: source },
      ),
    ),
    ports: list(
      object(
        { containerPort: whole(1, 65535) },
        {
          name: that(
            (v) => typeof v === "string" && /^(?=.*[a-z])[a-z0-9-]{1,15}$/.test(v),
            "a port's name, up to 15 letters",
          ),
          protocol: oneOf("TCP", "UDP", "SCTP"),
        },
      ),
    ),
    resources: object({}, { limits: map(quantity), requests: map(quantity) }),
    volumeMounts: list(object({ name: dnsLabel, mountPath: text }, { readOnly: truth, subPath: text })),
    workingDir: text,
    imagePullPolicy: oneOf("Always", "IfNotPresent", "Never"),
  },
);
const volume = object(
  { name: dnsLabel },
  {
    persistentVolumeClaim: object({ claimName: dnsLabel }, { readOnly: truth }),
    emptyDir: object({}, { medium: oneOf("", "Memory", "HugePages"), sizeLimit: quantity }),
    hostPath: object({ path: text }),
    configMap: object({ name: text }),
  },
);
const podSpec = (restart: Fields): Check =>
  object(
    { containers: list(container), ...restart },
    {
      initContainers: list(container),
      volumes: list(volume),
      subdomain: dnsLabel,
      enableServiceLinks: truth,
      terminationGracePeriodSeconds: whole(1),
      nodeSelector: map(text),
      tolerations: list(object({}, { key: text, operator: oneOf("Exists", "Equal"), value: text, effect: text })),
      hostNetwork: truth,
      priorityClassName: text,
      serviceAccountName: text,
    },
  );
const podTemplate = (restart: Fields): Check =>
  object({ spec: podSpec(restart) }, { metadata: object({}, { labels: map(text), annotations: map(text) }) });

const rule = object(
  { action: oneOf("FailJob", "FailIndex", "Ignore", "Count") },
  {
    onExitCodes: object({ operator: oneOf("In", "NotIn"), values: list(whole(0, 255)) }, { containerName: dnsLabel }),
    onPodConditions: list(object({ type: text }, { status: oneOf("True", "False", "Unknown") })),
  },
);
const service = object({
  apiVersion: oneOf("v1"),
  kind: oneOf("Service"),
  metadata,
  spec: object(
    { selector: map(text) },
    {
      clusterIP: text,
      publishNotReadyAddresses: truth,
      ports: list(object({ port: whole(1, 65535) }, { name: dnsLabel, targetPort: whole(1, 65535), protocol: text })),
    },
  ),
});
const job = object({
  apiVersion: oneOf("batch/v1"),
  kind: oneOf("Job"),
  metadata,
  spec: object(
    { template: podTemplate({ restartPolicy: oneOf("Never", "OnFailure") }) },
    {
      completionMode: oneOf("NonIndexed", "Indexed"),
      completions: whole(1),
      parallelism: whole(0),
      backoffLimit: whole(0),
      backoffLimitPerIndex: whole(0),
      maxFailedIndexes: whole(0),
      podReplacementPolicy: oneOf("TerminatingOrFailed", "Failed"),
      podFailurePolicy: object({ rules: list(rule) }),
      activeDeadlineSeconds: whole(1),
      ttlSecondsAfterFinished: whole(0),
      suspend: truth,
    },
  ),
});
const replica = object(
  { template: podTemplate({}) },
  { replicas: whole(0), restartPolicy: oneOf("Always", "OnFailure", "Never", "ExitCode") },
);
const pytorchJob = object({
  apiVersion: oneOf("kubeflow.org/v1"),
  kind: oneOf("PyTorchJob"),
  metadata,
  spec: object(
    { pytorchReplicaSpecs: object({ Master: replica }, { Worker: replica }) },
    {
      runPolicy: object(
        {},
        {
          backoffLimit: whole(0),
          cleanPodPolicy: oneOf("None", "Running", "All"),
          activeDeadlineSeconds: whole(1),
          ttlSecondsAfterFinished: whole(0),
          suspend: truth,
        },
      ),
      nprocPerNode: text,
    },
  ),
});

export interface Container {
  readonly name: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly resources?: { readonly limits?: Readonly<Record<string, string | number>> };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}
export interface Pod {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly { readonly name: string; readonly emptyDir?: { readonly medium?: string } }[];
  readonly restartPolicy?: string;
  readonly subdomain?: string;
  readonly terminationGracePeriodSeconds?: number;
}
export interface ExitRule {
  readonly action: string;
  readonly onExitCodes?: {
    readonly operator: string;
    readonly values: readonly number[];
    readonly containerName?: string;
  };
  readonly onPodConditions?: readonly { readonly type: string }[];
}

export interface Job {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly completionMode: string;
    readonly completions: number;
    readonly parallelism: number;
    readonly podReplacementPolicy?: string;
    readonly podFailurePolicy: { readonly rules: readonly ExitRule[] };
    readonly template: { readonly spec: Pod };
  };
}

const kinds: Readonly<Record<string, Check>> = { Service: service, Job: job, PyTorchJob: pytorchJob };

/** Errors in the fields of a document of a manifest. */
export const wrongFields = (document: unknown): string[] =>
  isMap(document)
    ? (kinds[String(document.kind)]?.(document, String(document.kind)) ?? [`unknown kind ${document.kind}`])
    : ["not a map"];

/** Contradictions between the fields of a pod. */
export function wrongPod(pod: Pod): string[] {
  const volumes = new Set(pod.volumes?.map((v) => v.name));
  const all = [...pod.containers, ...(pod.initContainers ?? [])];
  const mounts = all.flatMap((c) => c.volumeMounts ?? []);
  return [
    ...mounts.filter((m) => !volumes.has(m.name)).map((m) => `${m.mountPath}: there is no volume ${m.name}`),
    ...[...volumes].filter((v) => !mounts.some((m) => m.name === v)).map((v) => `volume ${v} is mounted nowhere`),
    ...(new Set(all.map((c) => c.name)).size === all.length ? [] : ["two containers have one name"]),
  ];
}

/** Errors in a Job's policy for failed pods, beyond its fields, by the API server's rules. */
export function wrongPolicy(rules: readonly ExitRule[], pod: Pod, replacement: string | undefined): string[] {
  const names = [...pod.containers, ...(pod.initContainers ?? [])].map((c) => c.name);
  const wrong = rules.flatMap(({ onExitCodes: codes, onPodConditions: conditions }, i) => [
    ...((codes === undefined) === (conditions === undefined)
      ? [`rule ${i}: either onExitCodes or onPodConditions`]
      : []),
    ...(codes?.containerName !== undefined && !names.includes(codes.containerName)
      ? [`rule ${i}: no container ${codes.containerName}`]
      : []),
    ...(codes?.operator === "In" && codes.values.includes(0) ? [`rule ${i}: In must not name 0`] : []),
    ...(codes?.values.some((v, k) => k > 0 && v <= (codes.values[k - 1] as number))
      ? [`rule ${i}: values have to ascend`]
      : []),
  ]);
  if (pod.restartPolicy !== "Never") wrong.push("podFailurePolicy needs restartPolicy: Never");
  if (replacement !== undefined && replacement !== "Failed")
    wrong.push("podFailurePolicy needs podReplacementPolicy: Failed");
  return wrong;
}
