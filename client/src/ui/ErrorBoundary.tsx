import { Component, type ReactNode } from 'react';
import { StoreError } from './StoreError';

interface Props {
  headingLevel: 1 | 2;
  children: ReactNode;
}

/** Without it, React removes the whole page when a component throws while rendering. */
export class ErrorBoundary extends Component<Props, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <StoreError
        kind="failed"
        headingLevel={this.props.headingLevel}
        query={{ refetch: () => this.setState({ failed: false }), isFetching: false }}
      />
    );
  }
}
