// The job spec as it was submitted.
import { api } from './api';
import { usePolled } from './poll';
import { Answer, CopyButton, Panel } from './ui';
import { highlight } from './yaml';

export function SpecTab({ id }: { id: string }) {
  const spec = usePolled(`spec/${id}`, (s) => api.spec(id, s), 0);
  return (
    <Panel title="Job spec" aside={spec.data && <CopyButton text={spec.data} label="Copy the job spec" />}>
      <Answer {...spec}>{(text) => <Yaml text={text} />}</Answer>
    </Panel>
  );
}

function Yaml({ text }: { text: string }) {
  return (
    <pre className="code yaml" role="region" aria-label="Job spec" tabIndex={0}>
      {text.replace(/\n$/, '').split('\n').map((line, i) => (
        // oxlint-disable-next-line react/no-array-index-key
        <code key={i}>
          {highlight(line || ' ').map((token, j) =>
            // oxlint-disable-next-line react/no-array-index-key
            token.kind === 'plain' ? token.text : <span key={j} className={`y-${token.kind}`}>{token.text}</span>)}
        </code>
      ))}
    </pre>
  );
}
