using McpHub.Health;
using McpHub.Upstreams;
using Microsoft.Extensions.Time.Testing;
using Shared.Snapshots;

namespace McpHub.Tests.Health;

public sealed class CircuitBreakerTests
{
    private static readonly BreakerRules Rules = new() { Failures = 3, FailurePercent = 50, MinimumCalls = 10, Window = TimeSpan.FromMinutes(1), OpenFor = TimeSpan.FromSeconds(30) };

    private readonly FakeTimeProvider clock = new();

    [Fact]
    public void FailuresInRow_Open_HoweverLongEachTook()
    {
        var breaker = new CircuitBreaker(Rules, clock);
        for (var i = 0; i < 3; i++)
        {
            Assert.Null(breaker.TryEnter(out var pass));
            clock.Advance(TimeSpan.FromMinutes(5));
            breaker.Leave(pass, CallVerdict.Failed);
        }

        Assert.Equal(TimeSpan.FromSeconds(30), breaker.TryEnter(out _));
        clock.Advance(TimeSpan.FromSeconds(12));
        Assert.Equal(TimeSpan.FromSeconds(18), breaker.TryEnter(out _));
        Assert.Equal((BreakerState.Open, 3, clock.GetUtcNow() + TimeSpan.FromSeconds(18)), breaker.Read());
    }

    [Fact]
    public void AnswerBetween_StartsTheRowAnew()
    {
        var breaker = new CircuitBreaker(Rules, clock);
        Run(breaker, CallVerdict.Failed, CallVerdict.Failed, CallVerdict.Answered, CallVerdict.Failed, CallVerdict.Failed);

        Assert.Equal((BreakerState.Closed, 2, null), breaker.Read());
    }

    [Fact]
    public void WhatSaysNothing_ChangesNothing()
    {
        var breaker = new CircuitBreaker(Rules, clock);
        Run(breaker, CallVerdict.Failed, CallVerdict.Failed, CallVerdict.None, CallVerdict.None);
        Assert.Equal((BreakerState.Closed, 2, null), breaker.Read());

        Run(breaker, CallVerdict.Failed);
        Assert.Equal(BreakerState.Open, breaker.Read().State);
    }

    [Fact]
    public void ShareOfFailures_OpensWithinTheWindowOnly()
    {
        var rules = Rules with { Failures = 100 };
        var slow = new CircuitBreaker(rules, clock);
        for (var i = 0; i < 100; i++)
        {
            Run(slow, i % 2 == 0 ? CallVerdict.Answered : CallVerdict.Failed);
            clock.Advance(TimeSpan.FromSeconds(10));
        }
        Assert.Equal(BreakerState.Closed, slow.Read().State);

        var fast = new CircuitBreaker(rules, clock);
        for (var i = 0; i < 9; i++)
        {
            Run(fast, i % 2 == 0 ? CallVerdict.Answered : CallVerdict.Failed);
        }
        Assert.Equal(BreakerState.Closed, fast.Read().State);
        Run(fast, CallVerdict.Failed);
        Assert.Equal(BreakerState.Open, fast.Read().State);
    }

    [Fact]
    public void HalfOpen_OneTrialAtATime_WhoseAnswerClosesAndWhoseFailureOpens()
    {
        var breaker = new CircuitBreaker(Rules, clock);
        Run(breaker, CallVerdict.Failed, CallVerdict.Failed, CallVerdict.Failed);
        clock.Advance(TimeSpan.FromSeconds(30));

        Assert.Null(breaker.TryEnter(out var trial));
        Assert.NotNull(breaker.TryEnter(out _));
        breaker.Leave(trial, CallVerdict.Failed);
        Assert.Equal(TimeSpan.FromSeconds(30), breaker.TryEnter(out _));

        clock.Advance(TimeSpan.FromSeconds(30));
        Assert.Null(breaker.TryEnter(out trial));
        breaker.Leave(trial, CallVerdict.None);
        Assert.Null(breaker.TryEnter(out trial));
        breaker.Leave(trial, CallVerdict.Answered);
        Assert.Equal((BreakerState.Closed, 0, null), breaker.Read());
    }

    [Fact]
    public void CallsFromBeforeItOpened_SayNothingOfNow()
    {
        var breaker = new CircuitBreaker(Rules, clock);
        Assert.Null(breaker.TryEnter(out var old));
        Assert.Null(breaker.TryEnter(out var older));
        Run(breaker, CallVerdict.Failed, CallVerdict.Failed, CallVerdict.Failed);

        breaker.Leave(old, CallVerdict.Answered);
        Assert.Equal(BreakerState.Open, breaker.Read().State);
        clock.Advance(TimeSpan.FromSeconds(30));
        Assert.Null(breaker.TryEnter(out var trial));
        breaker.Leave(older, CallVerdict.Failed);
        breaker.Leave(trial, CallVerdict.Answered);
        Assert.Equal(BreakerState.Closed, breaker.Read().State);
    }

    [Fact]
    public void ConnectedAnew_IsWorthATrialAtOnce()
    {
        var breaker = new CircuitBreaker(Rules, clock);
        Run(breaker, CallVerdict.Failed, CallVerdict.Failed, CallVerdict.Failed);

        breaker.Renew();

        Assert.Null(breaker.TryEnter(out _));
        Assert.NotNull(breaker.TryEnter(out _));
    }

    [Fact]
    public void SwitchedOff_NeverOpens()
    {
        var breaker = new CircuitBreaker(Rules with { Enabled = false }, clock);
        for (var i = 0; i < 1000; i++)
        {
            Run(breaker, CallVerdict.Failed);
        }
        Assert.Null(breaker.TryEnter(out _));
    }

    [Theory]
    [InlineData(null, CallVerdict.Answered)]
    [InlineData("tool_error", CallVerdict.Answered)]
    [InlineData("rpc_error", CallVerdict.Answered)]
    [InlineData(UpstreamReasons.Timeout, CallVerdict.Failed)]
    [InlineData(UpstreamReasons.Broken, CallVerdict.Failed)]
    [InlineData(UpstreamReasons.Unreachable, CallVerdict.Failed)]
    [InlineData(UpstreamReasons.Exited, CallVerdict.Failed)]
    [InlineData(UpstreamReasons.InvalidResponse, CallVerdict.Failed)]
    [InlineData("http_503", CallVerdict.Failed)]
    [InlineData("http_429", CallVerdict.None)]
    [InlineData("http_403", CallVerdict.None)]
    [InlineData(UpstreamReasons.NotConnected, CallVerdict.None)]
    [InlineData(UpstreamReasons.Busy, CallVerdict.None)]
    [InlineData(UpstreamReasons.TooLarge, CallVerdict.None)]
    [InlineData("cancelled", CallVerdict.None)]
    public void Verdict_OnlyOfWhatTheServerDid(string? error, CallVerdict verdict) => Assert.Equal(verdict, UpstreamHealth.VerdictOf(error));

    [Fact]
    public void Tools_WithoutEnd_AreBounded()
    {
        var health = new UpstreamHealth(new ToolManifest { Id = "x", Transport = UpstreamTransport.BuiltIn, Prefix = "x", Origin = "test" }, clock);
        for (var i = 0; i < UpstreamHealth.MaxTools + 500; i++)
        {
            health.Enter($"tool{i}").End(null, 0);
        }

        Assert.Equal(UpstreamHealth.MaxTools + 1, health.Tools.Count());
        Assert.Equal(500, health.Tools.Single(tool => tool.Tool == UpstreamHealth.OtherTools).Health.Calls);
    }

    [Fact]
    public void Threads_AtOnce_LoseNothing()
    {
        var health = new UpstreamHealth(new ToolManifest { Id = "x", Transport = UpstreamTransport.BuiltIn, Prefix = "x", Origin = "test" }, clock);
        Parallel.For(0, 10_000, i => health.Enter($"tool{i % 7}").End(i % 2 == 0 ? null : "tool_error", 0));

        Assert.Equal(10_000, health.Tools.Sum(tool => tool.Health.Calls));
        Assert.Equal(5_000, health.Tools.Sum(tool => tool.Health.ToolErrors));
        Assert.Equal("closed", health.Breaker.State);
    }

    private static void Run(CircuitBreaker breaker, params CallVerdict[] verdicts)
    {
        foreach (var verdict in verdicts)
        {
            Assert.Null(breaker.TryEnter(out var pass));
            breaker.Leave(pass, verdict);
        }
    }
}
