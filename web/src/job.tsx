// The page of one job: its header and its tabs.
import { useEffect, useState, type ReactNode } from 'react';
import { api, type Job } from './api';
import { CheckpointsTab } from './checkpoints';
import { ExceptionsTab } from './exceptions';
import { FilesTab } from './files';
import { duration, none } from './format';
import { JobOverviewTab } from './joboverview';
import { LedgerTab } from './ledger';
import { usePolled } from './poll';
import { jobHref, jobTabs, type JobTab, type Route } from './route';
import { SourceTab } from './source';
import { SpecTab } from './spec';
import { terminal } from './state';
import { Badge, Confirm, CopyButton, Empty, Instant, Loading, TaskCounts } from './ui';
import { WhyTab } from './why';

type JobRoute = Extract<Route, { page: 'job' }>;

export function JobPage({ route, interval, mayCancel }: { route: JobRoute; interval: number; mayCancel: boolean }) {
  const { data: job, error } = usePolled(`job/${route.id}`, (s) => api.job(route.id, s), interval);
  const name = job?.name;
  useEffect(() => {
    if (name) document.title = `${name} · Pencere`;
  }, [name]);
  if (error && (!job || error.status === 404)) {
    return <Empty title="No such job">{error.message} <a href="#/">Go to the overview</a></Empty>;
  }
  if (!job) return <Loading />;
  return (
    <>
      <Header job={job} mayCancel={mayCancel} />
      {job['ledger-imbalance'] && route.tab !== 'ledger' && (
        <p className="note bad" role="alert"><strong>Records are missing or doubled.</strong> The <a href={jobHref(job.jid, 'ledger')}>ledger</a> says which.</p>
      )}
      <Tabs job={job} tab={route.tab} />
      <Tab route={route} job={job} interval={interval} />
    </>
  );
}

function Tab({ route, job, interval }: { route: JobRoute; job: Job; interval: number }) {
  switch (route.tab) {
    case 'overview': return <JobOverviewTab job={job} selected={route.vertex} interval={interval} />;
    case 'why': return <WhyTab id={job.jid} interval={interval} />;
    case 'source': return <SourceTab id={job.jid} interval={interval} />;
    case 'checkpoints': return <CheckpointsTab job={job} interval={interval} />;
    case 'ledger': return <LedgerTab id={job.jid} interval={interval} />;
    case 'files': return <FilesTab id={job.jid} selected={route.file} interval={interval} />;
    case 'exceptions': return <ExceptionsTab id={job.jid} interval={interval} />;
    case 'spec': return <SpecTab id={job.jid} />;
  }
}

function Header({ job, mayCancel }: { job: Job; mayCancel: boolean }) {
  const ended = job['end-time'] > 0;
  return (
    <header className="job-head">
      <nav className="crumbs" aria-label="Breadcrumb"><a href="#/">Jobs</a> <span aria-hidden="true">/</span></nav>
      <div className="job-title">
        <h1>{job.name}</h1>
        <Badge state={job.state} />
        <span className="top-gap" />
        {mayCancel && !terminal(job.state) && <Cancel job={job} />}
      </div>
      <dl className="facts">
        <Fact term="Job id"><span className="mono">{job.jid}</span> <CopyButton text={job.jid} label="Copy the job id" /></Fact>
        <Fact term="Start"><Instant ms={job['start-time']} /></Fact>
        {ended && <Fact term="End"><Instant ms={job['end-time']} /></Fact>}
        <Fact term="Duration">{duration(job.duration)}</Fact>
        <Fact term="Tasks"><TaskCounts tasks={allTasks(job)} /></Fact>
      </dl>
    </header>
  );
}

function Fact({ term, children }: { term: string; children: ReactNode }) {
  return <div><dt>{term}</dt><dd>{children ?? none}</dd></div>;
}

// allTasks adds up the vertices' tasks by state. (The job's own status-counts counts vertices.)
function allTasks(job: Job): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const vertex of job.vertices) {
    for (const [state, n] of Object.entries(vertex.tasks)) sum[state] = (sum[state] ?? 0) + n;
  }
  return sum;
}

const tabNames: Record<JobTab, string> = {
  overview: 'Overview', why: 'Why', source: 'Source', checkpoints: 'Checkpoints', ledger: 'Ledger', files: 'Files', exceptions: 'Exceptions', spec: 'Spec',
};

function Tabs({ job, tab }: { job: Job; tab: JobTab }) {
  return (
    <nav className="tabs" aria-label="Job">
      {jobTabs.map((t) => (
        <a key={t} href={jobHref(job.jid, t)} aria-current={t === tab ? 'page' : undefined}>{tabNames[t]}</a>
      ))}
    </nav>
  );
}

type Asking = 'no' | 'open' | 'sending' | 'sent';

function Cancel({ job }: { job: Job }) {
  const [asking, setAsking] = useState<Asking>('no');
  const [problem, setProblem] = useState<string>();
  const send = async () => {
    setAsking('sending');
    setProblem(undefined);
    try {
      await api.cancel(job.jid);
      setAsking('sent');
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      setAsking('open');
    }
  };
  const waiting = job.state === 'CANCELLING' || asking === 'sent';
  return (
    <>
      <button type="button" className="button danger-quiet" disabled={waiting} onClick={() => setAsking('open')}>
        {waiting ? 'Canceling…' : 'Cancel job'}
      </button>
      {(asking === 'open' || asking === 'sending') && (
        <Confirm title={`Cancel ${job.name}?`} action="Cancel job" busy={asking === 'sending'} onConfirm={() => void send()} onClose={() => setAsking('no')}>
          <p>Its subtasks stop, and what they have not yet published is dropped. A canceled job does not start again by itself.</p>
          {problem && <p className="note bad" role="alert">{problem}</p>}
        </Confirm>
      )}
    </>
  );
}
