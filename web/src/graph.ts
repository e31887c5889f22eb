// The layout of the operator graph: vertices in columns from the sources to the sinks, each as near to its inputs
// as its column allows (Sugiyama's layers and one barycentre sweep: job graphs are small and nearly trees).

export interface GraphNode {
  id: string;
  inputs: { id: string; strategy: string }[];
}

export interface Box {
  id: string;
  x: number;
  y: number;
}

export interface Link {
  from: string;
  to: string;
  strategy: string;
  path: string; // of an SVG <path>
  labelX: number;
  labelY: number;
}

export interface Layout {
  width: number;
  height: number;
  boxes: Box[];
  links: Link[];
}

export interface Sizes {
  width: number; // of a node
  height: number;
  gapX: number;
  gapY: number;
  margin: number;
}

// layers gives each vertex the length of the longest path that leads to it. A cycle, which no job has, cannot make
// it run for ever: a vertex that is being visited counts as a source.
function layers(nodes: Map<string, GraphNode>): Map<string, number> {
  const depth = new Map<string, number>();
  const visiting = new Set<string>();
  const visit = (id: string): number => {
    const known = depth.get(id);
    if (known !== undefined) return known;
    if (visiting.has(id)) return 0;
    visiting.add(id);
    const inputs = (nodes.get(id)?.inputs ?? []).filter((input) => nodes.has(input.id));
    const layer = Math.max(-1, ...inputs.map((input) => visit(input.id))) + 1;
    visiting.delete(id);
    depth.set(id, layer);
    return layer;
  };
  for (const id of nodes.keys()) visit(id);
  return depth;
}

function columns(nodes: Map<string, GraphNode>): string[][] {
  const byLayer: string[][] = [];
  for (const [id, layer] of layers(nodes)) (byLayer[layer] ??= []).push(id);
  const result = byLayer.filter(() => true); // a cycle can leave a layer empty
  const place = new Map<string, number>();
  for (const column of result) {
    const barycentre = (id: string) => {
      const at = (nodes.get(id)?.inputs ?? []).map((i) => place.get(i.id)).filter((p) => p !== undefined);
      return at.length === 0 ? 0 : at.reduce((a, b) => a + b, 0) / at.length;
    };
    column.sort((a, b) => barycentre(a) - barycentre(b));
    column.forEach((id, i) => place.set(id, i - (column.length - 1) / 2));
  }
  return result;
}

// layout places the vertices; inputs that name no vertex are left out.
export function layout(graph: GraphNode[], s: Sizes): Layout {
  const nodes = new Map(graph.map((node) => [node.id, node]));
  const cols = columns(nodes);
  const rows = Math.max(1, ...cols.map((c) => c.length));
  const height = 2 * s.margin + rows * s.height + (rows - 1) * s.gapY;
  const boxes = cols.flatMap((column, c) => {
    const used = column.length * s.height + (column.length - 1) * s.gapY;
    return column.map((id, r) => ({
      id,
      x: s.margin + c * (s.width + s.gapX),
      y: (height - used) / 2 + r * (s.height + s.gapY),
    }));
  });
  const width = 2 * s.margin + cols.length * s.width + Math.max(0, cols.length - 1) * s.gapX;
  return { width, height, boxes, links: links(graph, boxes, s) };
}

function links(graph: GraphNode[], boxes: Box[], s: Sizes): Link[] {
  const at = new Map(boxes.map((box) => [box.id, box]));
  const result: Link[] = [];
  for (const node of graph) {
    for (const input of node.inputs) {
      const from = at.get(input.id);
      const to = at.get(node.id);
      if (!from || !to) continue;
      const [x1, y1, x2, y2] = [from.x + s.width, from.y + s.height / 2, to.x, to.y + s.height / 2];
      const bend = Math.max(24, (x2 - x1) / 2);
      result.push({
        from: input.id,
        to: node.id,
        strategy: input.strategy,
        path: `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`,
        labelX: (x1 + x2) / 2,
        labelY: (y1 + y2) / 2,
      });
    }
  }
  return result;
}
