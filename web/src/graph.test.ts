import { describe, expect, test } from 'vitest';
import { layout, type GraphNode } from './graph';

const sizes = { width: 100, height: 50, gapX: 40, gapY: 10, margin: 5 };
const node = (id: string, ...inputs: string[]): GraphNode => ({ id, inputs: inputs.map((from) => ({ id: from, strategy: 'HASH' })) });
const at = (graph: GraphNode[]) => new Map(layout(graph, sizes).boxes.map((b) => [b.id, b]));

describe('layout', () => {
  test('a chain runs from left to right, whatever the order of the plan', () => {
    const boxes = at([node('sink', 'window'), node('window', 'source'), node('source')]);
    expect([boxes.get('source')?.x, boxes.get('window')?.x, boxes.get('sink')?.x]).toEqual([5, 145, 285]);
    expect(new Set([...boxes.values()].map((b) => b.y))).toEqual(new Set([5]));
  });

  test('a join stands right of both its inputs, between them', () => {
    const boxes = at([node('a'), node('b'), node('join', 'a', 'b')]);
    expect([boxes.get('a')?.y, boxes.get('b')?.y, boxes.get('join')?.y]).toEqual([5, 65, 35]);
  });

  test('the longest path counts', () => {
    const boxes = at([node('a'), node('b', 'a'), node('c', 'a', 'b')]);
    expect(boxes.get('c')?.x).toBe(285);
  });

  test('branches do not cross', () => {
    const boxes = at([node('a'), node('b'), node('y', 'b'), node('x', 'a')]);
    expect(boxes.get('x')!.y).toBeLessThan(boxes.get('y')!.y);
  });

  test('edges begin and end at the boxes and carry their strategy', () => {
    const { links } = layout([node('a'), node('b', 'a')], sizes);
    expect(links).toEqual([{ from: 'a', to: 'b', strategy: 'HASH', path: 'M105,30 C129,30 121,30 145,30', labelX: 125, labelY: 30 }]);
  });

  test('no two boxes overlap in a wide graph', () => {
    const graph = Array.from({ length: 60 }, (_, i) => node(`n${i}`, ...(i < 5 ? [] : [`n${i % 5}`, `n${Math.floor(i / 3)}`])));
    const { boxes, width, height } = layout(graph, sizes);
    const cells = new Set(boxes.map((b) => `${b.x} ${b.y}`));
    expect(cells.size).toBe(60);
    for (const b of boxes) {
      expect(b.x + sizes.width).toBeLessThanOrEqual(width);
      expect(b.y + sizes.height).toBeLessThanOrEqual(height);
    }
  });

  test('what cannot be is drawn, not looped on: a cycle, an unknown input, nothing at all', () => {
    expect(layout([node('a', 'b'), node('b', 'a')], sizes).boxes).toHaveLength(2);
    expect(layout([node('a', 'gone')], sizes).links).toEqual([]);
    expect(layout([], sizes).boxes).toEqual([]);
  });
});
