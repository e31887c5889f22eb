// The job managers of the cluster: who leads, and how many may be lost.
import { api, type Member } from './api';
import { count, none } from './format';
import { usePolled } from './poll';
import { Table, type Column } from './table';
import { Answer, Badge, Panel } from './ui';

const columns: Column<Member>[] = [
  { key: 'id', head: 'Id', width: 200, sort: (m) => m.id, cell: (m) => <span className="mono" title={m.id}>{m.id}</span> },
  { key: 'address', head: 'Raft address', width: 200, sort: (m) => m.address, cell: (m) => <span className="mono">{m.address || none}</span> },
  { key: 'state', head: 'State', width: 140, sort: memberState, cell: (m) => <Badge state={memberState(m)} /> },
  { key: 'voter', head: 'Votes', width: 80, sort: (m) => (m.voter ? 1 : 0), cell: (m) => (m.voter ? 'yes' : 'no') },
  { key: 'term', head: 'Term', width: 80, numeric: true, sort: (m) => m.term, cell: (m) => (m.reachable ? count(m.term) : none) },
  {
    key: 'applied', head: 'Applied entries', width: 160, numeric: true, sort: (m) => m.appliedIndex,
    cell: (m) => (m.reachable ? `${count(m.appliedIndex)} of ${count(m.lastIndex)}` : none),
  },
];

export function MembersPanel({ interval }: { interval: number }) {
  const members = usePolled('members', api.members, interval, 'any');
  return (
    <Panel title="Job managers" aside={members.data && quorum(members.data)}>
      <Answer {...members}>
        {(rows) => <Table label="Job managers" columns={columns} rows={rows} rowKey={(m) => m.id} empty="There is no cluster yet" />}
      </Answer>
    </Panel>
  );
}

// memberState is what a member does, in one word.
export function memberState(m: Member): string {
  if (!m.reachable) return 'NOT REACHED';
  if (m.joining) return 'CATCHES UP';
  return m.state === 'LEADER' && !m.leader ? 'FOLLOWER' : m.state; // it has not heard of its successor yet
}

// quorum says how many job managers may be lost.
export function quorum(members: Member[]): string {
  const voters = members.filter((m) => m.voter);
  const there = voters.filter((m) => m.reachable && !m.joining).length;
  const needed = Math.floor(voters.length / 2) + 1;
  if (voters.length === 0) return 'There is no cluster yet';
  if (members.length === 1 && there === 1) return 'Runs alone: none may be lost';
  if (there < needed) return `${there} of ${voters.length} voters are there, ${needed} are needed: nothing can be decided`;
  if (!members.some((m) => m.leader)) return `${there} of ${voters.length} voters are there, and none leads yet`;
  return `${there} of ${voters.length} voters are there; ${there - needed} more may be lost`;
}
