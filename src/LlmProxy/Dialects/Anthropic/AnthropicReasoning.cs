using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>
/// How much a model shall think, from what other dialects say: an effort for models that think adaptively, a budget for older ones.
/// The table stands in <c>docs/anthropic-messages.md</c>.
/// </summary>
internal static class AnthropicReasoning
{
    /// <summary>The least budget that Anthropic takes, in tokens.</summary>
    public const long LeastBudget = 1024;

    private static readonly (string Effort, long Budget)[] Budgets =
    [
        ("minimal", 1024),
        ("low", 2048),
        ("medium", 8192),
        ("high", 16384),
        ("xhigh", 32768),
        ("max", 65536),
    ];

    /// <summary>The budget that an effort stands for.</summary>
    public static long BudgetOf(string effort) => Array.Find(Budgets, row => row.Effort == effort).Budget is > 0 and var budget ? budget : 8192;

    /// <summary>The effort that a budget stands for.</summary>
    public static string EffortOf(long budget)
    {
        foreach (var row in Budgets)
        {
            if (budget <= row.Budget)
            {
                return row.Effort;
            }
        }
        return "max";
    }

    /// <summary>The effort as Anthropic names it for a model; null: there is none of the kind.</summary>
    public static string? EffortFor(ClaudeModel model, string effort) => effort switch
    {
        "minimal" or "low" => "low",
        "medium" or "high" or "max" => effort,
        "xhigh" => model.KnowsExtraHigh ? "xhigh" : "max",
        _ => null,
    };

    /// <summary>What to write of a wish that came in another dialect.</summary>
    /// <param name="reasoning">The wish.</param>
    /// <param name="model">The model.</param>
    /// <param name="outputLimit">The output limit, of which thoughts are part.</param>
    public static ThinkingPlan PlanFor(NeutralReasoning reasoning, ClaudeModel model, long outputLimit)
    {
        var effort = reasoning.Effort.Exists ? reasoning.Effort.ToString() : null;
        if (reasoning.Enabled == false || effort == "none" || reasoning.BudgetTokens == 0)
        {
            return new ThinkingPlan { Type = "disabled" };
        }
        var budget = reasoning.BudgetTokens is > 0 ? reasoning.BudgetTokens : null;
        if (effort is null && budget is null && reasoning.Enabled is null && !reasoning.IsAdaptive)
        {
            return new ThinkingPlan();
        }
        if (model.ThinksAdaptively)
        {
            var wanted = effort ?? (budget is { } tokens ? EffortOf(tokens) : null);
            return new ThinkingPlan { Type = "adaptive", Effort = wanted is null ? null : EffortFor(model, wanted), IsLost = wanted is not null && EffortFor(model, wanted) is null };
        }
        // A fifth of the limit stays for the answer.
        var most = outputLimit / 5 * 4;
        var given = Math.Min(budget ?? (effort is null ? BudgetOf("medium") : BudgetOf(effort)), most);
        return most < LeastBudget ? new ThinkingPlan { IsLost = true } : new ThinkingPlan { Type = "enabled", Budget = Math.Max(LeastBudget, given) };
    }

    /// <summary>Whether a request's wish came in Anthropic's own words: from its clients, or those of another host of its models.</summary>
    public static bool IsOwn(NeutralRequest request) => request.Source is DialectIds.Anthropic or DialectIds.Bedrock;

    /// <summary>A wish in Anthropic's own words.</summary>
    /// <param name="reasoning">The wish.</param>
    public static ThinkingPlan AsSaid(NeutralReasoning? reasoning) => reasoning is null ? default : new ThinkingPlan
    {
        Type = reasoning.Enabled switch { true => reasoning.IsAdaptive ? "adaptive" : "enabled", false => "disabled", _ => null },
        Budget = reasoning.BudgetTokens,
        Effort = reasoning.Effort.Exists ? reasoning.Effort.ToString() : null,
    };

    /// <summary>What to write of a request's wish, given what else it says.</summary>
    /// <param name="request">The request.</param>
    /// <param name="model">The model.</param>
    /// <param name="outputLimit">The output limit, of which thoughts are part.</param>
    /// <param name="lacksThoughts">Whether the last turn answers calls of an assistant's turn that does not begin with the thoughts that led to them.</param>
    /// <param name="dropped">Receives what cannot be kept.</param>
    public static ThinkingPlan PlanFor(NeutralRequest request, ClaudeModel model, long outputLimit, bool lacksThoughts, DropReport dropped)
    {
        if (request.Reasoning is not { } reasoning)
        {
            return default;
        }
        if (IsOwn(request))
        {
            return AsSaid(reasoning);
        }
        var plan = PlanFor(reasoning, model, outputLimit);
        var isForced = request.ToolChoice is { Mode: ToolChoiceMode.Required or ToolChoiceMode.Named } or { Mode: ToolChoiceMode.Allowed, IsRequired: true };
        if (plan.Type is "enabled" or "adaptive" && isForced && request.Tools.Count > 0)
        {
            plan = new ThinkingPlan { Effort = plan.Effort, IsLost = true }; // a forced call and thoughts exclude each other
        }
        else if (plan.Type == "enabled" && lacksThoughts)
        {
            plan = new ThinkingPlan { IsLost = true }; // an answer to a tool's result must begin with the thoughts that led to the call
        }
        if (plan.IsLost)
        {
            dropped.Add("reasoning");
        }
        return plan;
    }

    /// <summary>Writes <c>thinking</c>, if the plan has any.</summary>
    /// <param name="json">The object that gets it.</param>
    /// <param name="output">Where that is written.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="request">The request.</param>
    public static void Write(ref JsonObjectWriter json, IBufferWriter<byte> output, in ThinkingPlan plan, NeutralRequest request)
    {
        if (plan.Type is not { } type || request.Reasoning is not { } reasoning)
        {
            return;
        }
        json.Name("thinking"u8);
        var thinking = new JsonObjectWriter(output);
        thinking.Text("type"u8, type);
        thinking.Number("budget_tokens"u8, plan.Budget);
        if (type != "disabled")
        {
            WriteDisplay(ref thinking, reasoning, IsOwn(request));
        }
        if (IsOwn(request))
        {
            thinking.Members(reasoning.Extensions);
        }
        thinking.End();
    }

    private static void WriteDisplay(ref JsonObjectWriter thinking, NeutralReasoning reasoning, bool isOwn)
    {
        if (isOwn)
        {
            thinking.Text("display"u8, reasoning.Summary);
        }
        else if (reasoning.Visible is { } visible)
        {
            thinking.Raw("display"u8, visible ? "\"summarized\""u8 : "\"omitted\""u8);
        }
        else if (reasoning.Summary.Exists)
        {
            thinking.Raw("display"u8, reasoning.Summary.Is("omitted"u8) || reasoning.Summary.Is("none"u8) ? "\"omitted\""u8 : "\"summarized\""u8);
        }
    }
}

/// <summary>What is written of a wish for thoughts.</summary>
internal readonly struct ThinkingPlan
{
    /// <summary><c>enabled</c>, <c>adaptive</c> or <c>disabled</c>; null: nothing.</summary>
    public string? Type { get; init; }

    public long? Budget { get; init; }

    public string? Effort { get; init; }

    /// <summary>Whether something of the wish could not be kept.</summary>
    public bool IsLost { get; init; }
}
