using LlmProxy.Dialects;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using Shared.Http;

namespace LlmProxy.Embeddings;

/// <summary>A request to <c>/embeddings</c>, read for a provider that has another form for it.</summary>
/// <param name="Texts">What is to be embedded, in its order; never empty.</param>
/// <param name="Dimensions">The length of vectors that is asked for, a JSON number; empty: the model's own.</param>
/// <param name="Task">What the vectors are for, in the words of <c>task_type</c> (Google's) or <c>input_type</c> (Cohere's); null: not said.</param>
internal sealed record EmbeddingInput(IReadOnlyList<JsonText> Texts, ReadOnlyMemory<byte> Dimensions, string? Task)
{
    /// <summary>Reads a request.</summary>
    /// <param name="body">OpenAI's request.</param>
    /// <param name="vendor">Who is asked, for messages.</param>
    /// <param name="dropped">Receives what no other vendor knows.</param>
    /// <param name="input">What is asked.</param>
    /// <returns>Null, or why it cannot be asked.</returns>
    public static GatewayError? Read(ReadOnlyMemory<byte> body, string vendor, DropReport dropped, out EmbeddingInput? input)
    {
        input = null;
        var members = JsonMembers.Of(body);
        members.Take("model"u8);
        members.Take("encoding_format"u8);
        var (value, dimensions, task, type) = (members.Take("input"u8), members.Take("dimensions"u8), members.Take("task_type"u8), members.Take("input_type"u8));
        var rest = new ExtensionBag();
        members.LeaveTo(rest);
        dropped.Add("", rest);
        var texts = new List<JsonText>();
        if (value.IsText)
        {
            texts.Add(value.Text);
        }
        var list = new JsonArrayReader(value);
        while (list.Next(out var element))
        {
            if (!element.IsText)
            {
                return new GatewayError(400, "unsupported_content", $"'input' holds token numbers, and {vendor} embeds texts alone. Send the texts themselves.") { Field = "input" };
            }
            texts.Add(element.Text);
        }
        if (texts.Count == 0)
        {
            return OpenAiErrors.Invalid("input", "a string, or an array of at least one string");
        }
        input = new EmbeddingInput(texts, dimensions.IsNumber ? dimensions.Raw : default, task.IsText ? task.Text.ToString() : type.IsText ? type.Text.ToString() : null);
        return null;
    }
}
