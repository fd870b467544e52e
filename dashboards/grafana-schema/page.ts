// What a page of dashboards/grafana may hold, put together from the types that Grafana publishes for the version that
// docker-compose.yml runs: the page, its panels, and what a panel of each kind has of its own. The schema leaves open
// what a data source reads, so that comes from Grafana's SDK. A kind of panel that is not named here is refused.
import type * as schema from "@grafana/schema";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as text from "@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen";
import type * as states from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import type * as sdk from "@grafana/grafana-foundation-sdk/dashboard";
import type { Dataquery } from "@grafana/grafana-foundation-sdk/prometheus";
import type * as units from "@grafana/grafana-foundation-sdk/units";

// A type as its values stand in JSON, where an enumeration's are plain strings.
type Json<T> = unknown extends T
  ? unknown
  : T extends string
    ? `${T}`
    : T extends number | boolean | null | undefined
      ? T
      : T extends Array<infer Item>
        ? Array<Json<Item>>
        : { [Field in keyof T]: Json<T[Field]> };

// The same fields, some of them with types that say more.
type With<T, Fields> = Omit<T, keyof Fields> & Fields;

type Source = { type: "prometheus"; uid: string };

type Query = With<
  Omit<Dataquery, "_implementsDataqueryVariant">,
  Pick<schema.DataQuery, "refId"> & { datasource: Source }
>;

type Unit = (typeof units)[keyof typeof units];

// What a kind of panel has of its own takes the place of what the schema leaves open there. A field that a kind does not
// have is left out rather than forbidden, so that the compiler names what is wrong inside the others' fields.
type Panel<Type extends string, Options, More = {}> = With<
  Omit<schema.Panel, "datasource" | "fieldConfig" | "targets">,
  { type: Type; options: Options } & More
>;

type Figure<Type extends string, Options, Own = {}> = Panel<
  Type,
  Options,
  {
    datasource: Source;
    targets: Query[];
    fieldConfig: {
      defaults: With<Omit<schema.FieldConfig, "custom">, { unit: Unit } & Own>;
      // Nothing is overridden; what comes to be has to be given a type first.
      overrides: never[];
    };
  }
>;

type AnyPanel =
  | Figure<"timeseries", timeseries.Options, { custom?: timeseries.FieldConfig }>
  | Figure<"stat", stat.Options>
  | Figure<"state-timeline", states.Options, { custom?: states.FieldConfig }>
  | Panel<"text", text.Options>;

type Variable =
  | With<schema.VariableModel, { type: "datasource"; query: "prometheus" }>
  | With<
      schema.VariableModel,
      { type: "query"; datasource: Source; query: { query: string; refId: string } } & Pick<
        sdk.VariableModel,
        "definition"
      >
    >;

type Annotation = With<
  schema.AnnotationQuery,
  { datasource: Source; target: Omit<Query, "datasource"> } & Pick<
    sdk.AnnotationQuery,
    "tagKeys" | "textFormat" | "titleFormat" | "useValueForTime"
  >
>;

export type Page = Json<
  With<
    schema.Dashboard,
    {
      uid: string;
      title: string;
      panels: AnyPanel[];
      templating?: { list: Variable[] };
      annotations?: { list: Annotation[] };
    }
  >
>;
